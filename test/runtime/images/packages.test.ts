import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bootstrapKey, bootstrapped } from '../../../runtime/images/bootstrap-key.ts';
import { layerDirectory, storeLayout } from '../../../runtime/images/layout.ts';
import { writeImage, writeRef } from '../../../runtime/images/records.ts';
import { type BootstrapReference, canonical, parseReference } from '../../../runtime/images/reference.ts';
import { openMachine } from '../../../workers/machine.ts';
import { testData } from '../../rootfs.ts';
import { scratch } from './unpacking.ts';

const digest = (name: string) => `sha256:${name.padEnd(64, '0')}`;

function parse(text: string): BootstrapReference {
  const reference = parseReference(text, () => false);
  if (reference.kind !== 'bootstrap') throw new Error(text);
  return reference;
}

function madeStore(path: string) {
  const layout = storeLayout(path);
  /** As bootstrapImage() and addPackages() leave it; layers by name. */
  const make = (text: string, name: string, layers: readonly string[], key?: string) => {
    const reference = parse(text);
    for (const id of layers) mkdirSync(layerDirectory(layout, id), { recursive: true });
    const config = { env: [], workingDir: '/', user: '', entrypoint: [], cmd: [] };
    const records = layers.map((id) => ({ id, bytes: 1, opaqueRoot: false }));
    writeImage(layout, { digest: digest(name), config, layers: records, createdAt: '' });
    const ref = canonical(reference);
    writeRef(layout, reference, { ref, digest: digest(name), key: key ?? bootstrapKey(reference) });
  };
  const found = (text: string) => bootstrapped(layout, parse(text))?.digest;
  return { make, found };
}

type Make = ReturnType<typeof madeStore>['make'];

describe('an image with added packages', () => {
  it.each([
    ['there is no base any more', () => {}, 'kept'],
    ['it was made over the base', (make) => make('bootstrap:sid', 'base', ['a']), 'kept'],
    ['the base was made anew since', (make) => make('bootstrap:sid', 'base', ['b']), 'stale'],
    ['the base is of other sources', (make) => make('bootstrap:sid', 'base', ['b'], 'other key'), 'kept'],
    ['it is of other sources itself', (make) => make('bootstrap:sid/xz', 'over', ['a', 'x'], 'old'), 'stale'],
  ] as const satisfies readonly (readonly [string, (make: Make) => void, string])[])(
    'when %s',
    (_when, change, outcome) => {
      using dir = scratch();
      const { make, found } = madeStore(dir.path);
      make('bootstrap:sid/xz', 'over', ['a', 'x']);
      expect(found('bootstrap:sid/xz')).toBe(digest('over'));
      change(make);
      expect(found('bootstrap:sid/xz')).toBe(outcome === 'kept' ? digest('over') : undefined);
      expect(found('bootstrap:sid/yz')).toBeUndefined();
    },
  );

  it('shares the layer of its base, is made once, and runs', async () => {
    const { images } = openMachine(join(testData, 'data'));
    const base = await images.resolve('bootstrap:bookworm');
    const lines: string[] = [];
    const progress = (line: string) => void lines.push(line);
    const [image, other] = await Promise.all(
      [1, 2].map(() => images.resolve('bootstrap:bookworm/hello', { progress })),
    );
    expect(other).toEqual(image);
    expect(image?.root.layers).toEqual([...base.root.layers, expect.any(String)]);
    expect(readdirSync(join(image?.root.layers.at(-1) ?? '', 'usr/bin'))).toEqual(['hello']);
    expect(images.list()).toContainEqual(
      expect.objectContaining({ ref: 'bootstrap:bookworm/hello', digest: image?.digest, layers: 2 }),
    );
    expect(lines.filter((line) => line === 'adding hello')).toHaveLength(lines.length > 0 ? 1 : 0);
    const before = lines.length;
    await images.resolve('bootstrap:bookworm/hello', { progress });
    expect(lines).toHaveLength(before);
    // What the base has already adds no layer.
    const same = await images.resolve('bootstrap:bookworm/coreutils,tar', { progress });
    expect(same.digest).toBe(base.digest);
  }, 240_000);

  it('of packages that do not exist names them, and leaves nothing', async () => {
    const { images } = openMachine(join(testData, 'data'));
    await images.resolve('bootstrap:bookworm');
    const before = images.list();
    await expect(images.resolve('bootstrap:bookworm/nosuch1,hello,nosuch2')).rejects.toThrow(
      /^image bootstrap:bookworm\/.*: bookworm has no package nosuch1, nosuch2: check the name/,
    );
    expect(images.list()).toEqual(before);
  }, 240_000);
});
