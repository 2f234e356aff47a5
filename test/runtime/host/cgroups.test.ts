import { expect, test } from 'vitest';
import { cgroupRequirements } from '../../../runtime/host/cgroups.ts';
import { makeHost } from './fixture.ts';

const root = '22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n';
const v2 = '30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n';
const v2ReadOnly = v2.replace(' rw,nosuid', ' ro,nosuid');
const unified = '31 22 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n';
const v1 = (...controllers: string[]) =>
  controllers
    .map((name, i) => `${40 + i} 22 0:${40 + i} / /sys/fs/cgroup/${name} rw - cgroup cgroup rw,${name}\n`)
    .join('');

const controllersFile = '/sys/fs/cgroup/cgroup.controllers';
const unifiedFile = '/sys/fs/cgroup/unified/cgroup.controllers';
const known = '#subsys_name hierarchy num enabled\ncpu 1 1 1\ncpuacct 1 1 1\nmemory 2 1 1\npids 3 1 1\n';
const memoryOff = known.replace('memory 2 1 1', 'memory 0 1 0');

const everyV1 = ['cpu,cpuacct', 'memory', 'pids'];
const all = 'cpuset cpu io memory pids\n';

test.each([
  ['v2', v2, { [controllersFile]: all }, 'ok', 'v2: memory, pids, cpu'],
  ['v1', v1(...everyV1), {}, 'ok', 'v1: memory, pids, cpu, cpuacct'],
  ['v1, one by one', v1('cpu', 'cpuacct', 'memory', 'pids'), {}, 'ok', 'v1: memory, pids, cpu, cpuacct'],
  ['hybrid', v1(...everyV1) + unified, {}, 'ok', 'hybrid: memory, pids, cpu, cpuacct'],
  [
    'hybrid with a controller in cgroup2',
    v1('cpu,cpuacct', 'memory') + unified,
    { [unifiedFile]: 'pids\n' },
    'missing',
    'hybrid, without pids',
  ],
  ['v2 without memory', v2, { [controllersFile]: 'cpu pids\n' }, 'missing', 'v2, without memory'],
  [
    'v2, read-only, as in a container',
    v2ReadOnly,
    { [controllersFile]: all },
    'missing',
    'v1, without memory, pids, cpu, cpuacct',
  ],
  ['nothing mounted', '', {}, 'missing', 'v1, without memory, pids, cpu, cpuacct'],
  [
    'v2 in a container whose processes sit at the top',
    v2,
    { [controllersFile]: all, ...inContainer('1\n') },
    'missing',
    'v2, with processes in the topmost cgroup that is visible here',
  ],
  [
    'v2 in a container that moved them',
    v2,
    { [controllersFile]: all, ...inContainer('') },
    'ok',
    'v2: memory, pids, cpu',
  ],
])('%s', async (_, mounts, files, status, detail) => {
  using host = makeHost({ '/proc/self/mountinfo': root + mounts, '/proc/cgroups': known, ...files });
  expect(await cgroupRequirements[0]?.probe(host)).toMatchObject({ status, detail });
});

function inContainer(processes: string): Record<string, string> {
  return {
    '/sys/fs/cgroup/cgroup.type': 'domain\n',
    '/sys/fs/cgroup/cgroup.subtree_control': '\n',
    '/sys/fs/cgroup/cgroup.procs': processes,
  };
}

test('a controller that the kernel was booted without: says with what to boot', async () => {
  using host = makeHost({
    '/proc/self/mountinfo': root + v2,
    '/proc/cgroups': memoryOff,
    [controllersFile]: 'cpu pids\n',
  });
  expect(await cgroupRequirements[0]?.probe(host)).toMatchObject({
    remedy: { kind: 'advice', text: 'boot with cgroup_enable=memory' },
  });
});
