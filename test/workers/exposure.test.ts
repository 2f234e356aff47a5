import { describe, expect, test } from 'vitest';
import { exposureWarning } from '../../workers/exposure.ts';
import { makeHost } from '../runtime/host/fixture.ts';

const hardened = {
  'proc/sys/fs/protected_symlinks': '1',
  'proc/sys/fs/protected_hardlinks': '1',
  'proc/sys/fs/protected_fifos': '2',
  'proc/sys/fs/protected_regular': '2',
  'proc/sys/kernel/kptr_restrict': '1',
  'proc/sys/kernel/dmesg_restrict': '1',
  'proc/sys/kernel/core_pattern': 'core',
  'proc/swaps': 'Filename Type Size Used Priority\n',
};

describe('a worker', () => {
  test('has nothing to say of a machine that is fit for builds of strangers', async () => {
    using host = makeHost(hardened);
    expect(await exposureWarning(host, { trust: '*' })).toBeUndefined();
  });

  test.each([
    [{ 'proc/sys/fs/protected_fifos': '0' }, 'fs.protected_fifos is 0, must be 2'],
    [{ 'proc/swaps': 'Filename Type\n/dev/sda2 partition' }, 'swap on: /dev/sda2'],
  ])('warns of one that is not (%o), with what to do', async (change, lack) => {
    using host = makeHost({ ...hardened, ...change });
    expect(await exposureWarning(host, { trust: '*' })).toBe(
      `this machine is not fit for builds of strangers (${lack}): cofferdam doctor --untrusted says why, ` +
        'cofferdam doctor --fix mends what can be; until then --label trust=trusted keeps them away',
    );
  });

  test.each([
    ['trusted', undefined],
    ['untrusted', expect.stringContaining('not fit')],
  ])('that is labelled trust=%s says what concerns it', async (trust, said) => {
    using host = makeHost({});
    expect(await exposureWarning(host, { trust })).toEqual(said);
  });
});
