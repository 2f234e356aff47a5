import { expect, test } from 'vitest';
import { exposureRequirements } from '../../../runtime/host/exposure.ts';
import { sysctlRequirements } from '../../../runtime/host/sysctls.ts';
import { makeHost } from './fixture.ts';

const all = [...sysctlRequirements, ...exposureRequirements];

const ksm = '/sys/kernel/mm/ksm/run';
const smt = '/sys/devices/system/cpu/smt/active';
const flaws = '/sys/devices/system/cpu/vulnerabilities/spectre_v2';
const oneArea = 'Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n';

test.each([
  ['fs.protected_symlinks', { '/proc/sys/fs/protected_symlinks': '1\n' }, 'ok'],
  ['fs.protected_symlinks', { '/proc/sys/fs/protected_symlinks': '0\n' }, 'missing'],
  ['fs.protected_symlinks', {}, 'missing'],
  ['fs.protected_fifos', { '/proc/sys/fs/protected_fifos': '1\n' }, 'missing'],
  ['fs.protected_fifos', { '/proc/sys/fs/protected_fifos': '2\n' }, 'ok'],
  ['kernel.kptr_restrict', { '/proc/sys/kernel/kptr_restrict': '2\n' }, 'ok'],
  ['kernel.unprivileged_bpf_disabled', { '/proc/sys/kernel/unprivileged_bpf_disabled': '1\n' }, 'ok'],
  ['kernel.unprivileged_bpf_disabled', {}, 'ok'],
  ['kernel.io_uring_disabled', { '/proc/sys/kernel/io_uring_disabled': '1\n' }, 'missing'],
  ['kernel.io_uring_disabled', {}, 'ok'],
  ['swap', { '/proc/swaps': 'Filename Type Size Used Priority\n' }, 'ok'],
  ['swap', { '/proc/swaps': oneArea }, 'missing'],
  ['ksm', { [ksm]: '1\n' }, 'missing'],
  ['ksm', { [ksm]: '2\n' }, 'ok'],
  ['ksm', {}, 'ok'],
  ['smt', { [smt]: '1\n' }, 'warn'],
  ['smt', { [smt]: '0\n' }, 'ok'],
  ['cpu-flaws', { [flaws]: 'Vulnerable: eIBRS\n' }, 'warn'],
  ['cpu-flaws', { [flaws]: 'Mitigation: Retpolines\n' }, 'ok'],
  ['core-pattern', { '/proc/sys/kernel/core_pattern': '|/usr/share/apport/apport %p\n' }, 'warn'],
  ['core-pattern', { '/proc/sys/kernel/core_pattern': 'core\n' }, 'ok'],
])('%s with %o: %s', async (id, files, status) => {
  using host = makeHost(files);
  expect(await all.find((each) => each.id === id)?.probe(host)).toMatchObject({ status });
});

test('a setting is mended now and for the next boot', async () => {
  using host = makeHost({ '/proc/sys/fs/protected_fifos': '0\n' });
  const finding = await all.find((each) => each.id === 'fs.protected_fifos')?.probe(host);
  expect(finding).toMatchObject({
    detail: 'is 0, must be 2',
    remedy: {
      kind: 'command',
      needsRoot: true,
      args: [
        'sh',
        '-c',
        'echo 2 > /proc/sys/fs/protected_fifos && ' +
          'mkdir -p /etc/sysctl.d && echo fs.protected_fifos=2 >> /etc/sysctl.d/60-cofferdam.conf',
      ],
    },
  });
});
