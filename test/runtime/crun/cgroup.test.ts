import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  CgroupError,
  cgroupPlan,
  cgroupTree,
  readConsumption,
  readRefusals,
  sweepCgroups,
} from '../../../runtime/crun/cgroup.ts';
import { run } from '../../../runtime/command.ts';
import { smallLimits } from './lab.ts';

// A directory that looks like /sys/fs/cgroup; the kernel's side of it (files that appear by themselves) is written here.
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cofferdam-cgroup-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

function directories(...names: string[]): void {
  for (const name of names) mkdirSync(join(root, name), { recursive: true });
}

const limits = { ...smallLimits, cpus: 1.5, memoryBytes: 1000, pids: 10 };
const relative = (text: string) => text.replace(`${root}/`, '');

/** The plan with paths as they are below the root. */
function plan() {
  const { directories: made, settings, each, ...rest } = cgroupPlan(cgroupTree(root), 'b1', limits);
  return {
    directories: made.map(relative),
    settings: settings.map(([file, value]) => `${relative(file)} ${value}`),
    join: rest.join.map(relative),
    each: each.map((directory) => `${relative(directory)}/*/${rest.eachFile}`),
  };
}

describe('on cgroup v2', () => {
  const v2 = { 'cgroup.controllers': 'cpuset cpu io memory pids\n', 'cgroup.subtree_control': '' };

  test('a build has one cgroup with all limits, and in it one for each container', () => {
    write({ ...v2, 'cofferdam/memory.swap.max': 'max' });
    expect(plan()).toEqual({
      directories: ['cofferdam/b1'],
      settings: [
        'cofferdam/b1/memory.max 1000',
        'cofferdam/b1/memory.swap.max 0',
        'cofferdam/b1/pids.max 14',
        'cofferdam/b1/cpu.max 150000 100000',
        'cofferdam/b1/cgroup.subtree_control +memory +pids',
      ],
      join: [],
      each: ['cofferdam/b1/*/cgroup.procs'],
    });
  });

  test('the controllers are handed down to builds', () => {
    write(v2);
    expect(cgroupTree(root).version).toBe(2);
    for (const parent of ['', 'cofferdam']) {
      expect(readFileSync(join(root, parent, 'cgroup.subtree_control'), 'utf8')).toBe('+memory +pids +cpu');
    }
  });

  test('without swap accounting the swap is not limited', () => {
    write(v2);
    expect(plan().settings.join()).not.toContain('swap');
  });

  test.each([
    ['memory.peak', { 'cofferdam/b1/memory.peak': '300\n' }, 300],
    ['memory.current before Linux 5.19', {}, 200],
  ])('what is used is of the build, its peak from %s', (_, files, memoryPeakBytes) => {
    write({
      ...v2,
      ...files,
      'cofferdam/b1/memory.current': '200\n',
      'cofferdam/b1/cpu.stat': 'usage_usec 2500000\nuser_usec 1\n',
    });
    expect(readConsumption(cgroupTree(root), 'b1')).toEqual({ memoryPeakBytes, cpuSeconds: 2.5 });
  });

  test.each([
    ['Linux 6.11, where forks count against whose limit it was', 3, 0],
    ['before it, where they count against who forked', 0, 3],
  ])('refusals are of a container, on %s', (_, ofBuild, ofContainer) => {
    write({
      ...v2,
      'cofferdam/b1/memory.events': 'low 0\noom 5\noom_kill 9\n',
      'cofferdam/b1/pids.events': `max ${ofBuild}\n`,
      'cofferdam/b1/db/memory.events': 'low 0\noom 5\noom_kill 2\noom_group_kill 9\n',
      'cofferdam/b1/db/pids.events': `max ${ofContainer}\n`,
    });
    expect(readRefusals(cgroupTree(root), 'b1', 'db')).toEqual({ oomKills: 2, pidsRefused: 3 });
  });

  test('a missing controller is named', () => {
    write({ ...v2, 'cgroup.controllers': 'cpu io\n' });
    expect(() => cgroupTree(root)).toThrow(CgroupError);
    expect(() => cgroupTree(root)).toThrow(/lacks the controllers memory, pids; see docs/);
  });
});

describe.each([
  ['v1', () => {}],
  ['a hybrid machine', () => write({ 'unified/cgroup.controllers': '' })],
])('on %s', (_, extend) => {
  const v1 = () => {
    directories('cpu', 'cpuacct', 'memory', 'pids', 'freezer');
    extend();
  };

  test('a build has a cgroup in the hierarchy of each controller', () => {
    v1();
    write({ 'memory/cofferdam/memory.memsw.limit_in_bytes': '' });
    expect(plan()).toEqual({
      directories: ['memory/cofferdam/b1', 'pids/cofferdam/b1', 'cpu/cofferdam/b1', 'cpuacct/cofferdam/b1'],
      settings: [
        'memory/cofferdam/b1/memory.limit_in_bytes 1000',
        'memory/cofferdam/b1/memory.memsw.limit_in_bytes 1000',
        'pids/cofferdam/b1/pids.max 14',
        'cpu/cofferdam/b1/cpu.cfs_period_us 100000',
        'cpu/cofferdam/b1/cpu.cfs_quota_us 150000',
      ],
      join: ['cpu', 'cpuacct'].map((name) => `${name}/cofferdam/b1/tasks`),
      each: ['memory', 'pids'].map((name) => `${name}/cofferdam/b1/*/tasks`),
    });
  });

  test('controllers that share a hierarchy share the cgroup, however many names it has', () => {
    directories('cpu,cpuacct', 'memory', 'pids');
    symlinkSync('cpu,cpuacct', join(root, 'cpu'));
    symlinkSync('cpu,cpuacct', join(root, 'cpuacct'));
    extend();
    const shared = 'cpu,cpuacct/cofferdam/b1';
    expect(plan().directories).toEqual(['memory/cofferdam/b1', 'pids/cofferdam/b1', shared]);
    expect(plan().settings).toContain(`${shared}/cpu.cfs_quota_us 150000`);
  });

  test('what is used is of the build, and refusals are of a container', () => {
    v1();
    write({
      'memory/cofferdam/b1/db/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
      'memory/cofferdam/b1/memory.max_usage_in_bytes': '300\n',
      'pids/cofferdam/b1/pids.events': 'max 0\n',
      'pids/cofferdam/b1/db/pids.events': 'max 3\n',
      'cpuacct/cofferdam/b1/cpuacct.usage': '2500000000\n',
    });
    expect(readRefusals(cgroupTree(root), 'b1', 'db')).toEqual({ oomKills: 2, pidsRefused: 3 });
    expect(readConsumption(cgroupTree(root), 'b1')).toEqual({ memoryPeakBytes: 300, cpuSeconds: 2.5 });
    for (const read of [readRefusals, readConsumption]) {
      expect(() => read(cgroupTree(root), 'other', 'db')).toThrow(/ENOENT/);
    }
  });

  test('a missing controller is named', () => {
    directories('cpu', 'cpuacct', 'memory');
    extend();
    expect(() => cgroupTree(root)).toThrow(CgroupError);
    expect(() => cgroupTree(root)).toThrow(/no cgroup controller 'pids'/);
  });
});

test('where nothing is mounted there is no controller', () => {
  expect(() => cgroupTree(join(root, 'nothing'))).toThrow(CgroupError);
});

test('a sweep removes cgroups that are empty and older than an hour', () => {
  directories(
    'cpu',
    'cpuacct',
    'memory/cofferdam/new',
    'memory/cofferdam/old/container',
    'memory/cofferdam/busy/container/process',
    'pids',
  );
  const now = Date.now();
  for (const old of ['old', 'busy']) {
    const then = now / 1000 - 3601;
    utimesSync(join(root, 'memory/cofferdam', old), then, then);
  }
  sweepCgroups(cgroupTree(root), now);
  const left = ['new', 'old', 'busy'].filter((name) => existsSync(join(root, 'memory/cofferdam', name)));
  expect(left).toEqual(['new', 'busy']);
});

test.each([
  ['v1', () => directories('cpu', 'cpuacct', 'memory', 'pids'), 'memory/cofferdam'],
  [
    'v2',
    () => write({ 'cgroup.controllers': 'cpu memory pids\n', 'cgroup.subtree_control': '' }),
    'cofferdam',
  ],
])('a tree of %s that cannot be written is named, with the remedy', async (_, make, place) => {
  make();
  const module = new URL('../../../runtime/crun/cgroup.ts', import.meta.url).href;
  const text = `import { cgroupTree } from '${module}';
    try { cgroupTree('${root}') } catch (error) { console.log(String(error)) }`;
  const readOnly = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
  const node = [process.execPath, '--input-type=module', '--eval', text];
  const { stdout } = await run({ file: 'unshare', args: ['--mount', 'sh', '-c', readOnly, root, ...node] });
  expect(stdout.toString()).toContain(
    `CgroupError: cannot keep the cgroups of builds in ${root}/${place}: EROFS: `,
  );
  expect(stdout.toString()).toContain('/sys/fs/cgroup not read-only); see "Control groups" in docs/hosts.md');
});
