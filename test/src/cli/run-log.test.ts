import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { temporaryDirectory } from '../../workers/directory.ts';
import { command, cofferdam, dataDir, image, makeImage, script, startCofferdam } from './cofferdam.ts';

const MiB = 1024 ** 2;

beforeAll(makeImage, 300_000);

const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex');

/** The output of a shell script on this machine, as its length and hash: it may be long. */
async function outside(text: string): Promise<string> {
  const hash = createHash('sha256');
  let length = 0;
  await run(
    { file: 'sh', args: ['-c', text] },
    {
      onStdout: (chunk) => {
        length += chunk.length;
        hash.update(chunk);
      },
    },
  );
  return `${length} ${hash.digest('hex')}`;
}

const summary = (data: Buffer) => `${data.length} ${sha256(data)}`;

describe('nothing of the log is lost', () => {
  test('of 64 MiB that are printed at once, through a pipe whose reader is slow', async () => {
    const text = 'seq 1 8600000';
    const [expected, { code, stdout }] = await Promise.all([
      outside(text),
      cofferdam(script(text, '--log-cap', '80MiB'), { slowness: { first: 700, each: 1 } }),
    ]);
    expect(code).toBe(0);
    expect(summary(stdout)).toBe(expected);
    expect(stdout.length).toBeGreaterThan(64 * MiB);
  });

  test('of the last words of a step that fails', async () => {
    const { code, stdout } = await cofferdam(script('seq 1 100000; echo last words >&2; exit 1'));
    expect(code).toBe(1);
    expect(stdout.subarray(-18).toString()).toBe('100000\nlast words\n');
  });

  test('whatever its bytes: binary, NUL, no text, no newline at the end', async () => {
    using source = temporaryDirectory();
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * i) >> 3));
    source.write({ bytes });
    const { stdout } = await cofferdam(['run', '--image', image, source.path, '--', 'cat', 'bytes']);
    expect(stdout.equals(bytes)).toBe(true);
  });

  test('into a file that has stderr too: both in order', async () => {
    using directory = temporaryDirectory();
    const file = join(directory.path, 'both');
    const words = script('echo one; echo two >&2; printf three').map((word) => `'${word}'`);
    await run({
      file: 'sh',
      args: ['-c', `'${command}' ${words.join(' ')} >'${file}' 2>&1`],
      env: { ...process.env, COFFERDAM_DATA: dataDir },
    });
    expect(readFileSync(file, 'utf8')).toMatch(/^── sh ─+\none\ntwo\nthree\n\n✓ sh /);
  });
});

test('a line of 256 MB: head and tail, the cut is said, memory stays flat', { timeout: 60_000 }, async () => {
  // 28,444,445 numbers of 8 digits and a separator: one line of 256,000,005 bytes.
  const text = "seq -w -s ' ' 10000000 38444444";
  const [headBytes, tailBytes, all] = [48 * MiB, 16 * MiB, 256_000_005];
  const build = startCofferdam(script(text));
  const watch = setInterval(() => build.memoryPeakBytes(), 20);
  const { code, stdout, stderr } = await build.ended;
  clearInterval(watch);
  expect(code).toBe(0);
  expect(build.memoryPeakBytes()).toBeGreaterThan(20 * MiB);
  expect(build.memoryPeakBytes()).toBeLessThan(250 * MiB);

  const mark = `\n[cofferdam: ${all - headBytes - tailBytes} bytes of the log were cut here]\n`;
  expect(stdout.subarray(headBytes, headBytes + mark.length).toString()).toBe(mark);
  const [head, tail] = [stdout.subarray(0, headBytes), stdout.subarray(headBytes + mark.length)];
  expect(summary(head)).toBe(await outside(`${text} | head -c ${headBytes}`));
  expect(summary(tail)).toBe(await outside(`${text} | tail -c ${tailBytes}`));
  expect(stderr).toContain('the log is long: the last part of it follows when the build ends\n');
});

test('--log-cap, with the cut in the record', async () => {
  const { stdout } = await cofferdam(script('seq 1 10000', '--log-cap', '4KiB', '--json'));
  const events = stdout
    .toString()
    .trimEnd()
    .split('\n')
    .map((line): { type: string; data?: string } => JSON.parse(line));
  const log = events.map(({ data = '' }) => data).join('');
  expect(log.length).toBe(4096);
  expect(log.endsWith('\n9999\n10000\n')).toBe(true);
  expect(events).toContainEqual({ type: 'log-cut', bytes: 48_894 - 4096 });
  expect(events.at(-1)).toMatchObject({
    record: { log: { bytes: 48_894, truncated: true, cutBytes: 48_894 - 4096 } },
  });
});

describe('a reader that goes away', () => {
  const piped = async (text: string) => {
    const { stdout } = await run({
      file: 'bash',
      args: ['-c', `${text}; echo "\${PIPESTATUS[0]}"`],
      env: { ...process.env, COFFERDAM_DATA: dataDir, COFFERDAM: command },
    });
    return stdout.toString();
  };

  test('ends neither the build nor its verdict', async () => {
    using out = temporaryDirectory();
    using source = temporaryDirectory();
    source.write({
      '.cofferdam.yaml': `image: ${image}\nartifacts: [{path: made, when: always}]\nsteps: [{commands: [seq 1000000, touch made, exit 1]}]\n`,
    });
    const shown = await piped(
      `"$COFFERDAM" run --artifacts ${out.path} ${source.path} 2>/dev/null | head -1`,
    );
    expect(shown).toBe('+ seq 1000000\n1\n');
    expect(readFileSync(join(out.path, 'made'), 'utf8')).toBe('');
  });

  test.each([
    ['run --help', 0],
    ['schema', 0],
    ['run /nonexistent 2>&1', 2],
    ['run --unknown 2>&1', 2],
  ])('%s: still exit code %i', async (words, code) => {
    expect(await piped(`"$COFFERDAM" ${words} | true`)).toBe(`${code}\n`);
  });
});

test('a log that cannot be written is said', async () => {
  const { stderr } = await run({
    file: 'sh',
    args: ['-c', `"$0" "$@" 2>&1 >/dev/full | cat >&2`, command, ...script('echo lost')],
    env: { ...process.env, COFFERDAM_DATA: dataDir },
  });
  expect(stderr).toContain('cofferdam: cannot write to stdout, the rest of the log is lost: ENOSPC');
  expect(stderr).toMatch(/\npassed\n$/);
});
