import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { holderFile } from '../../runtime/host/holder.ts';
import { containBy } from '../../runtime/images/contain.ts';
import type { Image } from '../../runtime/images/image.ts';
import { type ImageStore, imageStore } from '../../runtime/images/store.ts';
import { census as look } from '../runtime/images/unpacking.ts';
import { lab, overlays, shell, start, tell } from '../runtime/crun/lab.ts';
import { contents, layer, publish, startFixture } from '../runtime/images/fixture.ts';
import type { Recipe } from '../runtime/images/image-builder.ts';
import { directory, type Entry, file, symlink, tar } from '../runtime/images/tar-builder.ts';
import { storeOptions } from '../runtime/images/unpacking.ts';
import { debian, layersDir } from '../rootfs.ts';

// As on a worker: skopeo, filter, contained extractor, store; then a sandbox on what came of it.
let fixture: Awaited<ReturnType<typeof startFixture>>;
let data: string;
let store: ImageStore;
beforeAll(async () => {
  fixture = await startFixture();
  data = mkdtempSync(join(layersDir, 'hostile-'));
  store = imageStore(data, { ...storeOptions, contain: containBy(holderFile) });
});
afterAll(async () => {
  await fixture.stop();
  rmSync(data, { recursive: true });
});

const here = { insecureRegistry: true } as const;
const pulled = async (recipe: Recipe) => store.resolve((await publish(fixture.registry, recipe)).ref, here);
/** Its layers on those of a Debian. */
const root = (image: Image) => ({ ...debian, layers: [...debian.layers, ...image.root.layers] });

describe('what an image has in place of what a sandbox mounts, writes or reads', () => {
  const places = [
    'dev proc sys etc run tmp workspace root',
    'run/secrets run/.cofferdam etc/passwd etc/group etc/hosts etc/resolv.conf etc/hostname dev/null dev/shm',
    'run/.cofferdam/init',
  ];
  const kinds: readonly (readonly [string, (path: string, canary: string) => Entry])[] = [
    ['a symlink to the host', (path, canary) => symlink(path, canary)],
    ['a symlink out of the root', (path, canary) => symlink(path, `${'../'.repeat(20)}${canary.slice(1)}`)],
    ['a symlink to /proc/1/root', (path, canary) => symlink(path, `/proc/1/root${canary}`)],
    ['a symlink to itself', (path) => symlink(path, path.split('/').at(-1) ?? '')],
    ['a FIFO', (path) => ({ path, type: '6' })],
    ['a file', (path) => file(path, 'hostile', { mode: 0o777 })],
    ['a closed directory', (path) => directory(path, { mode: 0, uid: 5 })],
  ];

  test.each(kinds)('%s is contained', async (_what, make) => {
    await using place = lab({ layersDir });
    const canary = join(place.scratch, 'canary');
    mkdirSync(canary, { mode: 0o777 });
    for (const name of ['null', 'init', 'secret', 'hosts'])
      writeFileSync(join(canary, name), 'unharmed', { mode: 0o666 });
    const before = look(canary);
    for (const paths of places) {
      const image = await pulled({ layers: [tar(paths.split(' ').map((path) => make(path, canary)))] });
      const box = start(place.open(), root(image));
      const script = 'echo made >/workspace/made; cat /workspace/made /run/secrets/key; echo x >/dev/null';
      const told = await tell(box, shell(script, { secrets: { key: 'kept' } }));
      expect([paths, told.exit.code, told.output]).toEqual([paths, 0, 'made\nkept']);
      // Who that is the image says, or nobody.
      const user = await tell(box, shell('true', { user: 'daemon:daemon' }));
      expect([0, 126]).toContain(user.exit.code);
    }
    expect(look(canary)).toEqual(before);
    for (const name of before) expect(readFileSync(join(canary, name), 'utf8')).toBe('unharmed');
  });
});
