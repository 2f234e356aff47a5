import { expect, test } from 'vitest';
import { SandboxError } from '../../../runtime/sandbox.ts';
import { census, expectSameCensus } from '../../census.ts';
import { lab, sh, shell, start, tell } from './lab.ts';

const MiB = 1024 ** 2;

test('cpus bound the time of all processes together', async () => {
  await using place = lab();
  const sandbox = place.open({ limits: { cpus: 0.1 } });
  const spin = 'timeout 1 sh -c "while :; do :; done"';
  const began = performance.now();
  await sh(sandbox, `${spin} & ${spin} & wait`);
  const { cpuSeconds } = await sandbox.usage();
  expect(cpuSeconds).toBeGreaterThan(0.05);
  expect(cpuSeconds).toBeLessThan((0.25 * (performance.now() - began)) / 1000);
});

test('open files are bound for each process', async () => {
  await using place = lab();
  const sandbox = place.open({ limits: { openFiles: 50 } });
  const told = await sh(
    sandbox,
    'ulimit -Sn; ulimit -Hn; perl -e \'open $f{$_}, "</dev/null" or die "$_\\n" for 1..100\'',
  );
  expect(told.output).toBe('50\n50\n48\n');
});

test('there are no core dumps', async () => {
  await using place = lab();
  expect((await sh(place.open(), 'ulimit -c')).output).toBe('0\n');
});

test('the memory peak is what was used at most', async () => {
  await using place = lab();
  const sandbox = place.open();
  await sh(sandbox, 'head -c 60M /dev/zero | tail -c 60M >/dev/null');
  const { memoryPeakBytes } = await sandbox.usage();
  expect(memoryPeakBytes).toBeGreaterThan(60 * MiB);
  expect(memoryPeakBytes).toBeLessThan(120 * MiB);
});

test('the disk peak stays when the files are gone', async () => {
  await using place = lab();
  const sandbox = place.open();
  const box = start(sandbox);
  await tell(box, shell('head -c 20M /dev/zero >big'));
  await tell(box, shell('rm big'));
  expect((await sandbox.usage()).diskPeakBytes).toBeGreaterThan(20 * MiB);
});

test('limits that the kernel refuses are an error that says which, and leave nothing', async () => {
  await using place = lab();
  const before = census(place.dataDir);
  const sandbox = place.open({ limits: { memoryBytes: -2 } });
  const error = await sandbox.usage().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(SandboxError);
  expect(String(error)).toMatch(/cannot set .*memory/);
  await sandbox.destroy();
  await expectSameCensus(place.dataDir, before);
});
