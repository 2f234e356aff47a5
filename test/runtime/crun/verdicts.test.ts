import { describe, expect, test } from 'vitest';
import type { Limits } from '../../../runtime/sandbox.ts';
import { debian } from '../../rootfs.ts';
import { lab, sh, shell, start, tell } from './lab.ts';

const MiB = 1024 ** 2;
const code = (value: number) => ({ reason: 'exit', code: value });

describe('memory', () => {
  const limits = { memoryBytes: 64 * MiB, diskBytes: 400 * MiB };

  test('beyond the limit is oom, although the shell goes on and exits 0', async () => {
    await using place = lab();
    const sandbox = place.open({ limits });
    const box = start(sandbox);
    const bomb = 'head -c 200M /dev/zero | tail -c 200M >/dev/null';
    expect(await tell(box, shell(`${bomb}; echo went on; exit 0`))).toEqual({
      exit: { reason: 'oom', code: 0 },
      output: expect.stringContaining('went on\n'),
    });
    expect(await tell(box, shell('echo next'))).toEqual({ exit: code(0), output: 'next\n' });
    expect((await sandbox.usage()).memoryPeakBytes).toBeLessThanOrEqual(limits.memoryBytes);
  });

  test('beyond the limit is held against the container that was refused it, not against others', async () => {
    await using place = lab();
    const sandbox = place.open({ limits });
    const service = sandbox.start({ name: 'service', root: debian });
    const step = sandbox.start({ name: 'step', root: debian });
    const serving = tell(service, shell('sleep 2; exit 3'));
    const bomb = 'head -c 200M /dev/zero | tail -c 200M >/dev/null';
    expect((await tell(step, shell(`${bomb}; exit 0`))).exit.reason).toBe('oom');
    expect((await serving).exit).toEqual(code(3));
  });

  test('beyond the limit in a container with several commands is held against the one that fails', async () => {
    await using place = lab();
    const box = start(place.open({ limits }));
    const bomb = 'head -c 200M /dev/zero | tail -c 200M >/dev/null || exit 5';
    const both = await Promise.all([tell(box, shell('sleep 1')), tell(box, shell(`${bomb}; sleep 2`))]);
    expect(both.map(({ exit }) => exit)).toEqual([code(0), { reason: 'oom', code: 5 }]);
  });

  // Its pages stay when the kernel has killed the writer, so more may be killed until none is left.
  test('beyond the limit in /dev/shm is oom', async () => {
    await using place = lab();
    const sandbox = place.open({ limits });
    expect((await sh(sandbox, 'head -c 200M /dev/zero >/dev/shm/big; exit 0')).exit.reason).toBe('oom');
    expect((await sandbox.usage()).memoryPeakBytes).toBeLessThanOrEqual(limits.memoryBytes);
  });

  test('for cached files is taken back by the kernel, and no verdict', async () => {
    await using place = lab();
    const sandbox = place.open({ limits });
    expect((await sh(sandbox, 'head -c 200M /dev/zero >big; cat big >/dev/null')).exit).toEqual(code(0));
    expect((await sandbox.usage()).memoryPeakBytes).toBeLessThanOrEqual(limits.memoryBytes);
  });

  test('for a tmpfs disk that fits is no verdict', async () => {
    await using place = lab();
    const sandbox = place.open({ limits: { memoryBytes: 256 * MiB, diskBytes: 64 * MiB } });
    expect((await sh(sandbox, 'head -c 60M /dev/zero >big')).exit).toEqual(code(0));
  });
});

const disks: [string, Partial<Limits>][] = [
  ['tmpfs', { diskBytes: 16 * MiB, diskInodes: 1000 }],
  ['ext4', { diskBytes: 16 * MiB, diskInodes: 1000, memoryBytes: 48 * MiB }],
];

describe.each(disks)('a full disk on %s', (_, limits) => {
  test('in bytes is the reason of a failure', async () => {
    await using place = lab();
    const sandbox = place.open({ limits });
    const told = await sh(sandbox, 'head -c 32M /dev/zero >big');
    expect(told).toEqual({
      exit: { reason: 'disk', code: 1 },
      output: expect.stringContaining('No space left'),
    });
    const { diskPeakBytes } = await sandbox.usage();
    expect(diskPeakBytes).toBeGreaterThan(13 * MiB);
    expect(diskPeakBytes).toBeLessThanOrEqual(17 * MiB);
  });

  test('in inodes is the reason of a failure', async () => {
    await using place = lab();
    const told = await sh(
      place.open({ limits }),
      'i=0; while true >f$i; do i=$((i+1)); done 2>/dev/null; echo $i; exit 7',
    );
    expect(told.exit).toEqual({ reason: 'disk', code: 7 });
    expect(Number(told.output)).toBeGreaterThan(800);
    expect(Number(told.output)).toBeLessThanOrEqual(1100);
  });

  test('counts what is written anywhere', async () => {
    await using place = lab();
    const told = await sh(
      place.open({ limits }),
      'head -c 10M /dev/zero >/opt/a && head -c 10M /dev/zero >b',
    );
    expect(told.exit).toEqual({ reason: 'disk', code: 1 });
  });

  test('that the command lived with is no failure', async () => {
    await using place = lab();
    expect((await sh(place.open({ limits }), 'head -c 32M /dev/zero >big; exit 0')).exit).toEqual(code(0));
  });

  test('keeps nobody from starting a container, or from reading what was written', async () => {
    await using place = lab();
    const sandbox = place.open({ limits });
    const box = start(sandbox);
    await tell(box, shell('echo kept >result; head -c 32M /dev/zero >big'));
    await tell(box, shell('i=0; while true >f$i; do i=$((i+1)); done 2>/dev/null'));
    const after = start(sandbox);
    expect((await tell(after, shell('cat result; ls /tmp /srv'))).output).toBe('kept\n/srv:\n\n/tmp:\n');
    box.kill();
    after.kill();
    expect(await sandbox.list(['result'], 1)).toMatchObject([{ path: 'result', size: 5 }]);
  });
});

describe('processes', () => {
  test('beyond the limit are the reason, although the shell goes on', async () => {
    await using place = lab();
    const sandbox = place.open({ limits: { pids: 20 } });
    const told = await sh(sandbox, 'for i in $(seq 1 40); do (sleep 1 &); done; exit 0');
    expect(told.exit.reason).toBe('pids');
  });

  test('up to the limit are fine', async () => {
    await using place = lab();
    const sandbox = place.open({ limits: { pids: 20 } });
    expect((await sh(sandbox, 'for i in $(seq 1 18); do sleep 0.2 & done; wait')).exit).toEqual(code(0));
  });

  test('of a fork bomb are stopped at the limit and end with the container', async () => {
    await using place = lab();
    const sandbox = place.open({ limits: { pids: 64 } });
    const box = start(sandbox);
    const told = await tell(box, shell('bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 0.3; exit 0'));
    expect(told.exit.reason).toBe('pids');
    const began = performance.now();
    await sandbox.destroy();
    expect(performance.now() - began).toBeLessThan(2000);
  });
});

describe('codes', () => {
  test.each<[string, number]>([
    ['exit 0', 0],
    ['exit 77', 77],
    ['exit 255', 255],
    ['kill -TERM $$', 143],
    ['kill -SEGV $$', 139],
    ['kill -KILL $$', 137],
  ])('of %j is %i', async (script, value) => {
    await using place = lab();
    expect((await sh(place.open(), script)).exit).toEqual(code(value));
  });

  test.each<[string, readonly [string, ...string[]], string | undefined, number, string]>([
    ['does not exist', ['no-such-program'], undefined, 127, 'cofferdam: no-such-program: not found\n'],
    ['does not exist, by path', ['/no/such'], undefined, 127, 'cofferdam: /no/such: not found\n'],
    ['cannot be executed', ['/etc/passwd'], undefined, 126, 'cofferdam: /etc/passwd: Permission denied\n'],
    ['is a directory', ['/etc'], undefined, 126, 'cofferdam: /etc: Permission denied\n'],
    ['has no directory to run in', ['true'], '/no/such', 126, 'cofferdam: /no/such: not found\n'],
  ])('of a program that %s', async (_, args, cwd, value, output) => {
    await using place = lab();
    const told = await sh(place.open(), '', { args, ...(cwd !== undefined && { cwd }) });
    expect(told).toEqual({ exit: code(value), output });
  });
});
