import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { idRange } from '../../../runtime/crun/driver.ts';
import { rlimits } from '../../../runtime/crun/rlimits.ts';
import { seccompFilter } from '../../../runtime/crun/seccomp/filter.ts';
import { containerSpec } from '../../../runtime/crun/spec.ts';
import { createSpawner, type Spawner } from '../../../runtime/crun/spawner.ts';
import type { Random } from '../../random.ts';
import { debian, layersDir, makeDebian, testData } from '../../rootfs.ts';
import { compileSanitized, stoppedStatus } from '../holder/sanitized.ts';
import { mutateBytes, oddities, oneOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

/** Its command line, and what comes after it: each a list of words, or bytes that are none. */
type Stream = readonly Buffer[];

/** What a holder is told, from the command line to the last message; and what of it reaches a container's init. */
export const holderMessages: Target<Stream> = {
  name: 'holder-messages',
  promise:
    'whatever it is told, a holder does it, says what is wrong, or ends: no sanitizer has anything to say',
  rounds: 100,
  outcomes: ['ran', 'refused'],
  cases: [],
  open: async () => {
    await makeDebian();
    const directory = mkdtempSync(join(testData, 'fuzz-'));
    const holder = await compileSanitized(directory);
    for (const name of ['mnt', 'slots', 'source']) mkdirSync(join(directory, name));
    writeFileSync(join(directory, 'source', 'file'), 'text');
    const spawner = createSpawner(confined(directory, holder.file));
    const valid = conversation(directory, holder.file);
    return {
      make: (random) => streamOf(random, valid),
      check: async (stream) => {
        const told = await tell(spawner, stream);
        const [finding] = holder.findings();
        if (finding !== undefined) throw new Error(finding);
        return told;
      },
      close: () => rmSync(directory, { recursive: true, force: true }),
    };
  },
};

/** A program that starts the spawner where the host cannot be written. */
function confined(directory: string, holder: string): string {
  const program = join(directory, 'confined');
  const script = join(import.meta.dirname, '../holder/read-only-host.sh');
  writeFileSync(program, `#!/bin/sh\nexec ${script} ${directory} ${holder} "$@"\n`);
  chmodSync(program, 0o755);
  return program;
}

interface Conversation {
  readonly open: readonly string[];
  readonly messages: readonly (readonly string[])[];
}

/** What a worker says, as runtime/crun/pod.ts does; see holder/pod.c. Nothing in it joins a cgroup. */
function conversation(directory: string, holder: string): Conversation {
  const at = (name: string) => join(directory, name);
  const options = {
    mount: at('mnt'),
    holder,
    places: [{ source: 'workspace', path: '/workspace', access: 'rw' }] as const,
    seccomp: seccompFilter(process.arch === 'arm64' ? 'arm64' : 'x64'),
    rlimits: rlimits(1024),
    processors: availableParallelism(),
  };
  const config = JSON.stringify(containerSpec(options, 'writable'));
  const root = basename(debian.layers[0] ?? '');
  const container = (name: string) => ['container', name, 'trusted', config, '127.0.0.1 a\n', '', root];
  return {
    open: [
      [holder, 'open', '--mount', at('mnt'), '--crun', '/usr/bin/crun', '--layers', layersDir],
      ['--slots', at('slots'), String(idRange.first), String(idRange.slots)],
      ['--tmpfs', String(2 ** 24), '1000', '--workspace', '/workspace', '--source', at('source')],
    ].flat(),
    messages: [
      ['hide', 'file', 'a/b/c'],
      ['volume', '/root/.cache/a', ''],
      ['volume', '/workspace/b', ''],
      container('box'),
      container('two'),
      ['run', '1', 'box', '/', '', '2', '/bin/echo', 'text', 'A=b', '', 'secret', 'content'],
      ['run', '2', 'box', '/workspace', 'nobody:daemon', '3', 'sh', '-c', 'echo; exit 3', 'PATH=/bin'],
      ['signal', 'box', '15', '0'],
      ['signal', 'box', '9', '2'],
      ['usage'],
      ['kill', 'two'],
      ['target', '0', at('source')],
    ],
  };
}

const strange = [
  ...oddities.filter((text) => !text.includes('\0')),
  ...words(
    '-1 0 1 4294967296 99999999999999999999 0x10 .. ../.. / a//b ./. % %s%n trusted limited box _reader',
  ),
  ...[63, 64, 65, 255, 4095, 4096, 5000, 70_000].map((length) => 'x'.repeat(length)),
  'd/'.repeat(2100),
];

function streamOf(random: Random, { open, messages }: Conversation): Stream {
  const kept = messages.filter(() => random.chance(0.75));
  const said = [random.chance(0.15) ? bent(random, open) : open, ...kept].map((each, index) =>
    index > 0 && random.chance(0.08) ? bent(random, each) : each,
  );
  const frames = said.map((each) => frameOf(Buffer.from(`${each.join('\0')}\0`)));
  const at = random.between(0, frames.length - 1);
  return random.chance(0.2) ? frames.with(at, mutateBytes(random, frames[at] ?? Buffer.alloc(0))) : frames;
}

/** Words with one left out, doubled, or replaced by what nobody says. The JSON of a container is crun's to read. */
function bent(random: Random, message: readonly string[]): readonly string[] {
  const at = random.between(0, message.length - 1);
  if (message[at]?.startsWith('{') === true) return message.with(at, '{}');
  const many = () => Array.from({ length: random.between(1, 80) }, () => oneOf(random, strange));
  const disk = message.indexOf('--tmpfs');
  if (disk > 0 && random.chance(0.2)) return message.toSpliced(disk, 3, '--ext4', oneOf(random, strange));
  return oneOf(random, [
    () => message.toSpliced(at, 1),
    () => message.toSpliced(at, 0, message[at] ?? ''),
    () => message.with(at, oneOf(random, strange)),
    () => message.toSpliced(at, 0, ...many()),
  ])();
}

function frameOf(body: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(body.length);
  return Buffer.concat([size, body]);
}

const patienceMs = 10_000;

/** Tells a new holder, and asks for a last answer; returns when it is gone. */
async function tell(spawner: Spawner, stream: Stream): Promise<string> {
  await spawner.ready();
  const socket = spawner.connect();
  const answered = Promise.withResolvers<void>();
  const seen = new Set<string>();
  let pending: Buffer = Buffer.alloc(0);
  let running = stream.filter((each) => each.subarray(4).indexOf('run\0') === 0).length;
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    for (; pending.length >= 12 && pending.length >= 12 + pending.readUInt32LE(8); ) {
      const length = pending.readUInt32LE(8);
      const type = String.fromCharCode(pending.readUInt32LE(0));
      if (type === 'X' && pending.readUInt32LE(12) >> 8 === stoppedStatus) seen.add('stopped');
      if (type === 'X') running--;
      seen.add(type);
      pending = pending.subarray(12 + length);
    }
    if (seen.has('E') || (seen.has('U') && running <= 0)) answered.resolve();
  });
  const { promise: gone, resolve } = Promise.withResolvers<'gone'>();
  socket.on('close', () => resolve('gone'));
  for (const chunk of stream) socket.write(chunk);
  socket.write(frameOf(Buffer.from('usage\0')));
  // Where a length was bent it waits for more, and says nothing.
  const isWhole = stream.every((chunk) => chunk.length >= 4 && chunk.readUInt32LE(0) === chunk.length - 4);
  await Promise.race([answered.promise, gone, sleep(isWhole ? patienceMs : 100, undefined, { ref: false })]);
  socket.end();
  socket.resume();
  const ended = await Promise.race([gone, sleep(patienceMs, undefined, { ref: false })]);
  if (!ended) throw new Error(`the holder was still there ${patienceMs / 1000} s after its worker had gone`);
  if (seen.has('stopped')) throw new Error('a sanitizer stopped the init of a container');
  if (seen.has('X')) return 'ran';
  return seen.has('E') ? 'refused' : seen.has('U') ? 'answered' : 'ended';
}
