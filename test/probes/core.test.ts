import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { census, expectSameCensus } from '../census.ts';
import { type Bench, createBench } from './bench.ts';
import { catalog } from './catalog.ts';
import type { Control } from './controls.ts';
import { findings, isRed, lineOf } from './finding.ts';
import { defaultControls, reds, unnoticed } from './mutation.ts';
import { runningConfig } from './pod.ts';
import { uses } from './uses.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await createBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

test('every probe is green, and nothing is left of what they made', async () => {
  // The first one makes directories that are there to stay.
  await bench.script('true');
  const before = census(bench.dataDir);
  const outcome = await bench.probe();
  expect(outcome.kind === 'ran' ? outcome.findings.filter(isRed).map(lineOf) : outcome).toEqual([]);
  expect(outcome.kind === 'ran' && outcome.findings.length).toBe(catalog.length);
  await expectSameCensus(bench.dataDir, before);
});

test.each(uses)('a build cannot $shows', async (use) => {
  expect(await use.run(bench)).toBe(use.expected);
});

test('what the probes look at is what the product makes: the same config, byte by byte', async () => {
  const { config } = await defaultControls(bench);
  expect(await runningConfig(bench)).toEqual(config);
});

describe('without one control', () => {
  let all: readonly Control[];
  beforeAll(async () => {
    all = (await defaultControls(bench)).all;
  });

  // One of each kind; `npm run probes` drops each in turn.
  test.each([
    ['mask /proc/keys', '10-masks'],
    ['read-only /proc/sys', '8-writable'],
    ['no CAP_MKNOD', '6-capabilities'],
    ['no CAP_NET_RAW', '24-raw'],
    ['cgroup namespace', '19-cgroups'],
    ['user namespace', '7-host-inode'],
    ['RLIMIT_CORE', '28-limits'],
    ['no_new_privs', '6-set-user-id'],
    ['mount /dev', '16-devices'],
    ['size=256m of /dev/shm', '27-sizes'],
    ['nosuid of /dev/shm', '17-flags'],
    ['propagation of the root', '17-shared'],
    ['seccomp', '2-unshare'],
    ['seccomp: families of socket', '9-families'],
    ['seccomp: keyrings', '4-keyrings'],
    ['cgroup pids.max', '25-processes'],
    ['holder: network namespace', '22-host-tcp'],
    ['holder: nodev of overlays', '16-planted-nodes'],
    ['holder: init is not dumpable', '15-init'],
  ])('%s: %s is red', async (id, probe) => {
    const control = all.find((each) => each.id === id);
    if (!control) throw new Error(`no control '${id}' among ${all.map((each) => each.id).join(', ')}`);
    expect(await reds(bench, control)).toContainEqual(expect.stringContaining(`${probe}: `));
  });
});

test('a probe that does not report is red', () => {
  const [first, second] = findings(
    '{"id":"2-unshare","got":"EPERM"}\n{"id":"2-clone","got":"allowed"}\n',
    'direct',
  );
  expect([first, second].map((finding) => finding && isRed(finding))).toEqual([false, true]);
  expect(findings('', 'direct').every(isRed)).toBe(true);
});

test('a control that nothing notices is a failure, unless there is an excuse', () => {
  const mutations = [
    { control: 'mask', noticed: [] },
    { control: 'old', noticed: [], excuse: 'not in this kernel' },
    { control: 'seen', noticed: ['1: red'] },
  ];
  expect(unnoticed(mutations)).toEqual(['mask']);
});
