import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { kernelRequirements } from '../../../runtime/host/kernel.ts';
import { makeHost } from './fixture.ts';

const loop = kernelRequirements.find(({ id }) => id === 'loop');

test('a kernel module is loaded where that can be done', async () => {
  using host = makeHost({});
  writeFileSync(join(host.root, 'modprobe'), '');
  chmodSync(join(host.root, 'modprobe'), 0o755);
  expect(await loop?.probe({ ...host, path: [host.root] })).toMatchObject({
    status: 'missing',
    remedy: { kind: 'command', title: 'load the kernel module loop', needsRoot: true },
  });
});

test('a container, and the building of its image, is set up although only its host can load one', async () => {
  using host = makeHost({});
  expect(await loop?.probe(host)).toMatchObject({
    status: 'missing',
    remedy: { kind: 'advice', text: expect.stringContaining('modprobe loop') },
  });
});
