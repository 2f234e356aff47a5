import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tryLock } from '../../runtime/images/lock.ts';
import { type LayerCache, layerCache } from '../../workers/layer-cache.ts';
import { temporaryDirectory } from './directory.ts';

const key = (letter: string) => letter.repeat(64);

function make(cache: LayerCache, letter: string, bytes = 100) {
  return cache.make(key(letter), async (directory) => {
    mkdirSync(join(directory, 'tree'));
    writeFileSync(join(directory, 'tree', 'file'), letter);
    return bytes;
  });
}

const notUsedForLong = (lock: string) => utimesSync(lock, new Date(0), new Date(0));

test('a layer is found by its key once it is whole', async () => {
  using place = temporaryDirectory();
  const cache = layerCache({ dataDir: place.path, capBytes: 1000 });
  const half = cache.make(key('a'), async (directory) => {
    mkdirSync(join(directory, 'tree'));
    expect(cache.find(key('a'))).toBeUndefined();
    throw new Error('the disk is full');
  });
  await expect(half).rejects.toThrow('the disk is full');
  expect(readdirSync(join(place.path, 'sources'))).toEqual([]);
  const made = await make(cache, 'a');
  expect(cache.find(key('a'))).toEqual(made);
  expect(readFileSync(join(made.tree, 'file'), 'utf8')).toBe('a');
});

test('of two that make the same layer, the first stays', async () => {
  using place = temporaryDirectory();
  const [one, two] = [1, 2].map(() => layerCache({ dataDir: place.path, capBytes: 1000 }));
  if (!one || !two) throw new Error('no cache');
  const first = await make(one, 'a');
  expect(await make(two, 'a')).toEqual(first);
  expect(readdirSync(join(place.path, 'sources'))).toEqual([key('a')]);
});

test('what was used last is kept; what a build holds, or was handed out a moment ago, stays', async () => {
  using place = temporaryDirectory();
  const cache = layerCache({ dataDir: place.path, capBytes: 50 });
  const [old, held, used, recent] = await Promise.all(['a', 'b', 'c', 'd'].map((name) => make(cache, name)));
  if (!old || !held || !used || !recent) throw new Error('no layer');
  await cache.trim();
  const left = () => [old, held, used, recent].map(({ directory }) => existsSync(directory));
  expect(left()).toEqual([true, true, true, true]);
  for (const { lock } of [old, held, used]) notUsedForLong(lock);
  cache.find(key('c'));
  const lock = await tryLock(held.lock, 'shared');
  await cache.trim();
  await lock?.release();
  expect(left()).toEqual([false, true, true, true]);
});

test('no more goes than has to', async () => {
  using place = temporaryDirectory();
  const cache = layerCache({ dataDir: place.path, capBytes: 250 });
  const layers = await Promise.all(['a', 'b', 'c'].map((name) => make(cache, name)));
  layers.forEach(({ lock }, i) => utimesSync(lock, new Date(i * 1000), new Date(i * 1000)));
  await cache.trim();
  expect(layers.map(({ directory }) => existsSync(directory))).toEqual([false, true, true]);
});

test('a file that others have too counts in part, and whole when they are gone', async () => {
  using place = temporaryDirectory();
  place.write({ pack: 'x'.repeat(1000) });
  const cache = layerCache({ dataDir: place.path, capBytes: 700 });
  const layer = await cache.make(key('a'), async (directory) => {
    mkdirSync(join(directory, 'tree/packs'), { recursive: true });
    linkSync(join(place.path, 'pack'), join(directory, 'tree/packs/pack'));
    writeFileSync(join(directory, 'shared'), 'tree/packs');
    return 100;
  });
  notUsedForLong(layer.lock);
  await cache.trim();
  expect(existsSync(layer.directory)).toBe(true);
  rmSync(join(place.path, 'pack'));
  await cache.trim();
  expect(existsSync(layer.directory)).toBe(false);
});

test('what died half-way is removed after a day', async () => {
  using place = temporaryDirectory();
  const cache = layerCache({ dataDir: place.path, capBytes: 250 });
  await make(cache, 'a');
  const [old, young] = ['.making-old', '.gone-young'].map((name) => join(place.path, 'sources', name));
  if (!old || !young) throw new Error('no place');
  for (const path of [old, young]) mkdirSync(path);
  utimesSync(old, new Date(0), new Date(0));
  await cache.trim();
  expect([existsSync(old), existsSync(young)]).toEqual([false, true]);
});
