import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { storageRequirements } from '../../../runtime/host/storage.ts';
import { makeHost } from './fixture.ts';

const data = storageRequirements[0];

test('a directory that does not exist yet is judged by the nearest one that does', async () => {
  using host = makeHost({});
  const dataDir = join(host.root, 'not/yet/there');
  const here = await data?.probe(host);
  const there = await data?.probe({ ...host, dataDir });
  expect(there?.status).toBe(here?.status);
  expect(there?.detail).toContain(dataDir);
});

test('a file system that the kernel cannot show through id maps is not for layers', async () => {
  using host = makeHost({}, { dataDir: '/dev/pts' });
  expect(await data?.probe(host)).toMatchObject({
    status: 'missing',
    detail: expect.stringContaining('a file system of type 0x1cd1'),
    remedy: { kind: 'advice', text: 'set COFFERDAM_DATA to a directory on ext4, xfs or btrfs' },
  });
});

test('tmpfs is one of them since Linux 6.3', async () => {
  expect(statfsSync('/dev/shm').type).toBe(0x01021994);
  using host = makeHost({}, { dataDir: '/dev/shm' });
  expect(await data?.probe({ ...host, kernelRelease: '6.2.0' })).toMatchObject({
    detail: expect.stringContaining('cannot be shared'),
  });
  expect((await data?.probe({ ...host, kernelRelease: '6.3.0' }))?.detail).toContain('GiB free');
});
