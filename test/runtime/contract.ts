import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Command,
  type Container,
  type Exit,
  type Sandbox,
  type SandboxDriver,
  SandboxError,
  type Signal,
  type WorkspaceFile,
} from '../../runtime/sandbox.ts';
import { debian, testData } from '../rootfs.ts';
import { sequence } from './fake/shell.ts';

/** What differs between implementations. */
export interface Capabilities {
  /** Whether usage() tells what a kernel counted; else only the disk is known. */
  readonly counters: 'kernel' | 'none';
}

const MiB = 1024 ** 2;
const limits = {
  cpus: 2,
  memoryBytes: 512 * MiB,
  diskBytes: 64 * MiB,
  diskInodes: 10_000,
  pids: 64,
  openFiles: 1024,
};

function shell(script: string): Command {
  return {
    args: ['sh', '-c', script],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    cwd: '/workspace',
  };
}

async function tell(box: Container, script: string): Promise<{ exit: Exit; output: string }> {
  const chunks: Buffer[] = [];
  const exit = await box.run(shell(script), (chunk) => void chunks.push(Buffer.from(chunk)));
  return { exit, output: Buffer.concat(chunks).toString() };
}

const code = (value: number): Exit => ({ reason: 'exit', code: value });

/** The rules of runtime/sandbox.ts, as far as they can be seen through it. */
export function sandboxContract(
  name: string,
  makeDriver: (dataDir: string) => SandboxDriver,
  capabilities: Capabilities,
): void {
  describe(`the sandbox contract: ${name}`, () => {
    let directory: string;
    let source: string;
    let driver: SandboxDriver;
    let opened = 0;
    const bytes = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) >> 3));

    beforeAll(() => {
      mkdirSync(testData, { recursive: true });
      directory = mkdtempSync(join(testData, 'contract-'));
      source = join(directory, 'source');
      mkdirSync(join(source, 'deep/er'), { recursive: true });
      mkdirSync(join(source, 'secret'));
      writeFileSync(join(source, 'bytes'), bytes);
      writeFileSync(join(source, 'empty'), '');
      writeFileSync(join(source, 'deep/er/größer\n'), 'deep');
      writeFileSync(join(source, 'secret/key'), 'key');
      writeFileSync(join(source, 'deep/hidden'), 'hidden');
      driver = makeDriver(directory);
    });
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    const open = (from: string | undefined = source): Sandbox & AsyncDisposable => {
      const sandbox = driver.open({
        id: `contract-${process.pid}-${opened++}`,
        limits,
        workspace: {
          path: '/workspace',
          source: from,
          hidden: from === undefined ? [] : ['secret', 'deep/hidden', 'not/there'],
        },
      });
      return Object.assign(sandbox, { [Symbol.asyncDispose]: () => sandbox.destroy() });
    };
    const start = (sandbox: Sandbox, box = 'main') => sandbox.start({ name: box, root: debian });

    const contents = async (sandbox: Sandbox, files: readonly WorkspaceFile[]) => {
      const result: Record<string, string> = {};
      let parts: Buffer[] = [];
      let current = '';
      await sandbox.read(files, {
        begin: ({ path }) => {
          current = path;
          parts = [];
        },
        data: (chunk) => void parts.push(Buffer.from(chunk)),
        end: () => void (result[current] = Buffer.concat(parts).toString('latin1')),
      });
      return result;
    };
    const names = (files: readonly WorkspaceFile[]) => files.map(({ path }) => path).sort();

    describe('output', () => {
      test('comes from both streams in the order it was written', async () => {
        await using sandbox = open();
        const told = await tell(start(sandbox), 'echo one; echo two >&2; echo three; echo four >&2');
        expect(told).toEqual({ exit: code(0), output: 'one\ntwo\nthree\nfour\n' });
      });

      test('is bytes, whatever they are', async () => {
        await using sandbox = open();
        const chunks: Buffer[] = [];
        await start(sandbox).run(shell('cat bytes'), (chunk) => void chunks.push(Buffer.from(chunk)));
        expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
      });

      test('of 64 MiB is complete when run() resolves, through a sink that is slow', async () => {
        await using sandbox = open();
        const last = 8_600_000;
        const wanted = createHash('sha256');
        for (const part of sequence(1, last)) wanted.update(part);
        const got = createHash('sha256');
        let size = 0;
        let pauses = 0;
        const exit = await start(sandbox).run(shell(`seq 1 ${last}; exit 3`), async (chunk) => {
          got.update(chunk);
          size += chunk.length;
          if (size > pauses * MiB) await sleep(++pauses % 8 === 0 ? 20 : 1);
        });
        expect(exit).toEqual(code(3));
        expect(size).toBeGreaterThan(64 * MiB);
        expect(got.digest('hex')).toBe(wanted.digest('hex'));
      });

      test('waits for the promise of its sink', async () => {
        await using sandbox = open();
        let busy = 0;
        let most = 0;
        let taken = 0;
        await start(sandbox).run(shell('seq 1 200000'), async () => {
          most = Math.max(most, ++busy);
          await sleep(2);
          busy--;
          taken++;
        });
        expect({ most, busy }).toEqual({ most: 1, busy: 0 });
        expect(taken).toBeGreaterThan(1);
      });

      test.each([
        [
          'throws',
          () => {
            throw new Error('the disk of the log is full');
          },
        ],
        ['rejects', () => Promise.reject(new Error('the disk of the log is full'))],
      ])('whose sink %s is an error of the platform that keeps its cause', async (_, sink) => {
        await using sandbox = open();
        const box = start(sandbox);
        const error = await box.run(shell('echo hello; sleep 20'), sink).catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(SandboxError);
        expect(error).toHaveProperty('cause.message', 'the disk of the log is full');
        await expect(tell(box, 'echo more')).rejects.toBe(error);
      });
    });

    describe('commands', () => {
      test.each([0, 1, 42, 255])('that exit %i are a value', async (status) => {
        await using sandbox = open();
        expect((await tell(start(sandbox), `exit ${status}`)).exit).toEqual(code(status));
      });

      test('whose program does not exist are a value too', async () => {
        await using sandbox = open();
        const missing: Command = { ...shell(''), args: ['no-such-program'] };
        expect(await start(sandbox).run(missing, () => {})).toEqual(code(127));
      });

      test('run one after another on the same files', async () => {
        await using sandbox = open();
        const box = start(sandbox);
        await tell(box, 'echo first > note');
        expect((await tell(box, 'cat note')).output).toBe('first\n');
        await tell(box, 'rm note');
        expect((await tell(box, 'cat note')).exit).toEqual(code(1));
      });

      test('run side by side, each with its own output', async () => {
        await using sandbox = open();
        const box = start(sandbox);
        const began = performance.now();
        const told = await Promise.all(
          ['1', '2', '3', '4'].map((each) => tell(box, `echo ${each}; sleep 0.5; exit ${each}`)),
        );
        expect(performance.now() - began).toBeLessThan(1500);
        expect(told).toEqual([1, 2, 3, 4].map((each) => ({ exit: code(each), output: `${each}\n` })));
      });

      test('of several containers share the workspace', async () => {
        await using sandbox = open();
        await tell(start(sandbox, 'writer'), 'echo shared > note');
        expect((await tell(start(sandbox, 'reader'), 'cat note')).output).toBe('shared\n');
      });

      test.each(['workspace', 'reserve', 'reader', '-', 'a'.repeat(32)])(
        'run in a container with the name %s',
        async (box) => {
          await using sandbox = open();
          const started = start(sandbox, box);
          await tell(started, 'echo mine > note');
          started.kill();
          expect(await contents(sandbox, await sandbox.list(['note'], 10))).toEqual({ note: 'mine\n' });
        },
      );
    });

    describe('signals', () => {
      const ends: [Signal, number][] = [
        ['SIGINT', 130],
        ['SIGKILL', 137],
        ['SIGTERM', 143],
      ];
      test.each(ends)('%s ends a command with %i, and not the container', async (signal, status) => {
        await using sandbox = open();
        const box = start(sandbox);
        box.signal(signal);
        // dash forgets a SIGINT that comes just before it starts a program, so it is asked again.
        let asking: NodeJS.Timeout | undefined;
        const exit = await box.run(shell('echo up; sleep 20'), () => {
          box.signal(signal);
          asking = setInterval(() => box.signal(signal), 100);
        });
        clearInterval(asking);
        expect(exit).toEqual(code(status));
        expect(await tell(box, 'echo on')).toEqual({ exit: code(0), output: 'on\n' });
      });

      test('kill() ends all commands of one container only, with 137', async () => {
        await using sandbox = open();
        const box = start(sandbox, 'one');
        const other = start(sandbox, 'two');
        const both = await Promise.all([
          box.run(shell('echo up; sleep 20'), () => box.kill()),
          box.run(shell('sleep 20'), () => {}),
          tell(other, 'sleep 0.5; exit 4'),
        ]);
        expect(both).toEqual([code(137), code(137), { exit: code(4), output: '' }]);
        await expect(tell(box, 'echo on')).rejects.toThrow(SandboxError);
        box.kill();
        box.signal('SIGTERM');
        expect((await tell(other, 'echo on')).output).toBe('on\n');
      });
    });

    describe('failures', () => {
      test.each<[string, (sandbox: Sandbox, box: Container) => Promise<unknown>]>([
        ['run', (_, box) => tell(box, 'echo hello')],
        ['list', (sandbox) => sandbox.list([''], 1)],
        [
          'read',
          (sandbox) => sandbox.read([{ path: 'a', size: 0, mode: 0 }], { begin() {}, data() {}, end() {} }),
        ],
        ['usage', (sandbox) => sandbox.usage()],
      ])('of open() reject the next call that waits: %s', async (which, call) => {
        await using sandbox = open(join(directory, 'no-such-source'));
        const box = start(sandbox);
        if (which !== 'run') box.kill();
        const error = await call(sandbox, box).catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(SandboxError);
        expect(String(error)).toContain('no-such-source');
        await sandbox.destroy();
      });
    });

    describe('destroy()', () => {
      test.each<[string, (sandbox: Sandbox) => unknown]>([
        ['at once', () => {}],
        ['after start()', (sandbox) => start(sandbox)],
        ['after a command', (sandbox) => tell(start(sandbox), 'echo hello')],
        ['after kill()', (sandbox) => start(sandbox).kill()],
      ])('%s, and again, resolves', async (_, before) => {
        const sandbox = open();
        await before(sandbox);
        await Promise.all([sandbox.destroy(), sandbox.destroy()]);
        await sandbox.destroy();
      });

      test('rejects what runs, and all that comes later', async () => {
        const sandbox = open();
        const box = start(sandbox);
        const up = Promise.withResolvers<void>();
        const running = box.run(shell('echo up; sleep 20'), () => up.resolve());
        const queued = tell(box, 'sleep 20');
        await up.promise;
        const rejected = [running, queued].map((each) => expect(each).rejects.toThrow(SandboxError));
        await sandbox.destroy();
        await Promise.all(rejected);
        await expect(tell(box, 'echo on')).rejects.toThrow(SandboxError);
        await expect(sandbox.list([''], 10)).rejects.toThrow(SandboxError);
        await expect(sandbox.usage()).rejects.toThrow(SandboxError);
        box.signal('SIGTERM');
        box.kill();
      });

      test('after a failed open() resolves', async () => {
        const sandbox = open(join(directory, 'no-such-source'));
        await expect(sandbox.usage()).rejects.toThrow(SandboxError);
        await sandbox.destroy();
        await sandbox.destroy();
      });
    });

    describe('the source', () => {
      test('is seen without what is hidden', async () => {
        await using sandbox = open();
        const box = start(sandbox);
        for (const path of ['secret/key', 'deep/hidden']) {
          expect((await tell(box, `cat ${path}`)).exit).toEqual(code(1));
        }
        box.kill();
        expect(names(await sandbox.list([''], 100))).toEqual(['bytes', 'deep/er/größer\n', 'empty']);
      });

      test('stays as it is on the host', async () => {
        const before = readdirSync(source, { recursive: true, encoding: 'utf8' }).sort();
        const sandbox = open();
        await tell(start(sandbox), 'rm bytes; echo changed > empty; echo new > other');
        await sandbox.destroy();
        expect(readdirSync(source, { recursive: true, encoding: 'utf8' }).sort()).toEqual(before);
        expect(readFileSync(join(source, 'bytes')).equals(bytes)).toBe(true);
        expect(readFileSync(join(source, 'empty'), 'utf8')).toBe('');
      });

      test('may be none', async () => {
        const sandbox = driver.open({
          id: `contract-${process.pid}-${opened++}`,
          limits,
          workspace: { path: '/workspace', source: undefined, hidden: [] },
        });
        const box = start(sandbox);
        expect((await tell(box, 'echo hello > note; cat note')).output).toBe('hello\n');
        box.kill();
        expect(names(await sandbox.list([''], 10))).toEqual(['note']);
        await sandbox.destroy();
      });

      test('of one sandbox does not show what another does with it', async () => {
        await using one = open();
        await using two = open();
        const [a, b] = [start(one), start(two)];
        await Promise.all([tell(a, 'echo one > note'), tell(b, 'rm bytes')]);
        expect((await tell(b, 'cat note')).exit).toEqual(code(1));
        expect((await tell(a, 'cat bytes')).exit).toEqual(code(0));
      });
    });

    describe('files', () => {
      test('are listed and read when the containers were killed', async () => {
        await using sandbox = open();
        const box = start(sandbox);
        await tell(box, 'echo hello > made; rm bytes');
        box.kill();
        const files = await sandbox.list([''], 100);
        expect(names(files)).toEqual(['deep/er/größer\n', 'empty', 'made']);
        expect(files.find(({ path }) => path === 'made')).toEqual({ path: 'made', size: 6, mode: 0o644 });
        expect(await contents(sandbox, files)).toEqual({
          'deep/er/größer\n': 'deep',
          empty: '',
          made: 'hello\n',
        });
      });

      test.each<[readonly string[], number, string[]]>([
        [['deep'], 10, ['deep/er/größer\n']],
        [['deep/er', 'empty'], 10, ['deep/er/größer\n', 'empty']],
        [['dee', 'no/such'], 10, []],
        [[], 10, []],
        [['empty'], 0, []],
      ])('below %j, at most %i, are %j', async (directories, limit, wanted) => {
        await using sandbox = open();
        expect(names(await sandbox.list(directories, limit))).toEqual(wanted);
      });

      test('are at most as many as asked for', async () => {
        await using sandbox = open();
        expect(await sandbox.list([''], 2)).toHaveLength(2);
      });

      test('cannot be listed while a container runs', async () => {
        await using sandbox = open();
        start(sandbox, 'busy');
        await expect(sandbox.list([''], 10)).rejects.toThrow(/busy/);
        await expect(
          sandbox.read([{ path: 'a', size: 0, mode: 0 }], { begin() {}, data() {}, end() {} }),
        ).rejects.toThrow(/busy/);
      });

      test.each([
        ['went away', 'rm bytes'],
        ['changed', 'echo other > bytes'],
      ])('one that %s since it was listed is an error', async (_, change) => {
        await using sandbox = open();
        const files = await sandbox.list(['bytes'], 10);
        const box = start(sandbox);
        await tell(box, change);
        box.kill();
        const error = await contents(sandbox, files).catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(SandboxError);
        expect(error).toMatchObject({ phase: 'collect', message: expect.stringContaining('bytes') });
        // The trouble is that file's, not the sandbox's.
        expect(await contents(sandbox, await sandbox.list(['empty'], 10))).toEqual({ empty: '' });
      });

      test('of a sink that throws reject read() with that error', async () => {
        await using sandbox = open();
        const full = new Error('no space for artifacts');
        const files = await sandbox.list([''], 10);
        const sink = { begin() {}, data: () => Promise.reject(full), end() {} };
        await expect(sandbox.read(files, sink)).rejects.toBe(full);
        expect(await contents(sandbox, files)).toHaveProperty('empty');
      });
    });

    test('usage() counts what is written, as it is now, also after kill()', async () => {
      await using sandbox = open();
      const box = start(sandbox);
      const before = await sandbox.usage();
      await tell(box, 'seq 1 1000; echo hello > note');
      box.kill();
      const after = await sandbox.usage();
      expect(after.diskPeakBytes).toBeGreaterThan(before.diskPeakBytes);
      if (capabilities.counters === 'none') return;
      expect(after.cpuSeconds).toBeGreaterThan(before.cpuSeconds);
      expect(after.memoryPeakBytes).toBeGreaterThan(0);
    });
  });
}
