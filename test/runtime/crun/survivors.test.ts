import { once } from 'node:events';
import { globSync, readFileSync, rmdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { start as startProcess } from '../../../runtime/command.ts';
import { type Network, SandboxError } from '../../../runtime/sandbox.ts';
import { census, expectSameCensus } from '../../census.ts';
import { ext4Limits, lab, sh, shell, start, tell } from './lab.ts';

const networks: readonly Network[] = [
  { kind: 'none' },
  { kind: 'egress' },
  { kind: 'allow', hosts: ['public.example', 'public.example:22'] },
];

test('200 sandboxes, 20 at a time, leave nothing', { timeout: 600_000 }, async () => {
  await using place = lab();
  const before = census(place.dataDir);
  let next = 0;
  const one = async () => {
    while (next < 200) {
      const network = networks[next % networks.length] ?? { kind: 'none' };
      const ext4 = next++ % 2 === 0;
      const sandbox = place.open({ network, ...(ext4 && { limits: ext4Limits }) });
      const box = start(sandbox);
      const told = await tell(box, shell('seq 1 1000 | tee numbers; (setsid sleep 1000 &)'));
      expect(told.output).toHaveLength(3893);
      box.kill();
      expect(await sandbox.list([''], 10)).toHaveLength(1);
      await sandbox.destroy();
    }
  };
  await Promise.all(Array.from({ length: 20 }, one));
  await expectSameCensus(place.dataDir, before);
});

test('the census sees a running sandbox', async () => {
  await using place = lab();
  const before = census(place.dataDir);
  const sandbox = place.open({ limits: ext4Limits, network: { kind: 'egress' } });
  await sh(sandbox, '(setsid sleep 1000 &)');
  await expect.poll(() => census(place.dataDir)['processes']?.join()).toMatch(/uid 1879\d+: sleep 1000/);
  const during = census(place.dataDir);
  for (const kind of ['cgroups', 'processes', 'networks', 'links', 'mounts', 'loops']) {
    expect
      .soft(
        during[kind]?.filter((item) => !before[kind]?.includes(item)),
        kind,
      )
      .not.toEqual([]);
  }
});

const busyWorker = join(import.meta.dirname, 'busy-worker.ts');

/** The same moments each time. */
function* random(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

const moments = random(7);
const early = Array.from({ length: 10 }, () => Math.round((moments.next().value ?? 0) * 60));
const late = Array.from({ length: 3 }, () => Math.round(150 + (moments.next().value ?? 0) * 500));

test.each([...early, ...late])('a worker killed after %i ms leaves nothing', async (ms) => {
  await using place = lab();
  const before = census(place.dataDir);
  const worker = startProcess(
    { file: process.execPath, args: [busyWorker, place.dataDir] },
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (worker.stdout) await once(worker.stdout, 'data');
  await sleep(ms);
  worker.kill('SIGKILL');
  await once(worker, 'close');
  await expectSameCensus(place.dataDir, before);
});

// As systemd makes them at boot; where they are private, nothing could be seen.
test('mounts do not reach a host whose mounts are shared', async () => {
  await using place = lab();
  const before = census(place.dataDir);
  const script = 'mount --make-rshared / && exec "$@"';
  const worker = startProcess(
    {
      file: 'unshare',
      args: ['--mount', 'sh', '-c', script, 'sh', process.execPath, busyWorker, place.dataDir],
    },
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (worker.stdout) await once(worker.stdout, 'data');
  await expect.poll(() => census(place.dataDir)['mounts']?.length, { timeout: 10_000 }).toBeGreaterThan(0);
  const seen = readFileSync(`/proc/${worker.pid}/mountinfo`, 'utf8');
  worker.kill('SIGKILL');
  await once(worker, 'close');
  expect(seen).toMatch(/ shared:\d+ /);
  expect(seen).not.toContain(place.dataDir);
  await expectSameCensus(place.dataDir, before);
});

const children = (pid: number) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

/** The holder of the only sandbox of a lab, and what it started. */
function tree(dataDir: string): { outer: number; pod: number; init: number } {
  const ours = census(dataDir)['processes'] ?? [];
  const holders = ours
    .filter((line) => line.includes(' open --mount '))
    .map((line) => Number.parseInt(line, 10));
  const outer = holders.find((pid) => children(pid).some((child) => holders.includes(child)));
  const pod = outer === undefined ? undefined : children(outer)[0];
  const init = pod === undefined ? undefined : children(pod)[0];
  if (outer === undefined || pod === undefined || init === undefined) throw new Error(ours.join('\n'));
  return { outer, pod, init };
}

test('a killed pod ends the sandbox and leaves nothing', async () => {
  await using place = lab();
  const before = census(place.dataDir);
  const sandbox = place.open();
  const box = start(sandbox);
  const running = box.run(
    shell('echo up; sleep 1000'),
    () => void process.kill(tree(place.dataDir).pod, 'SIGKILL'),
  );
  await expect(running).rejects.toThrow(/ended by itself/);
  await expectSameCensus(place.dataDir, before);
  await expect(tell(box, shell('echo on'))).rejects.toThrow(SandboxError);
  await sandbox.destroy();
});

// Two hours later the next driver sweeps them; see cgroup.test.ts.
test('a killed outer process leaves empty cgroups, and nothing else', async () => {
  await using place = lab();
  const before = census(place.dataDir);
  const sandbox = place.open();
  const running = start(sandbox).run(
    shell('(setsid sleep 1000 &) ; echo up; sleep 1000'),
    () => void process.kill(tree(place.dataDir).outer, 'SIGKILL'),
  );
  await expect(running).rejects.toThrow(/ended by itself/);
  await sandbox.destroy();
  const left = census(place.dataDir)['cgroups'] ?? [];
  const ours = left.filter((path) => path.includes(basename(place.dataDir)));
  expect(ours.length).toBeGreaterThan(0);
  await expectSameCensus(place.dataDir, { ...before, cgroups: left });
  for (const path of ours) {
    for (const container of globSync(join(path, '*/'))) rmdirSync(container);
    rmdirSync(path);
  }
});

test('a killed init ends its commands with 137 and its container, and nothing else', async () => {
  await using place = lab();
  const before = census(place.dataDir);
  const sandbox = place.open();
  const box = start(sandbox);
  const exit = await box.run(
    shell('echo written > file; (setsid sleep 1000 &) ; echo up; sleep 1000'),
    () => void process.kill(tree(place.dataDir).init, 'SIGKILL'),
  );
  expect(exit).toEqual({ reason: 'exit', code: 137 });
  expect((await sh(sandbox, 'cat file')).output).toBe('written\n');
  await expect(tell(box, shell('echo on'))).rejects.toThrow(/is gone/);
  await sandbox.destroy();
  await expectSameCensus(place.dataDir, before);
});
