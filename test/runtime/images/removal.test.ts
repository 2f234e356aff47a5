import { existsSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tryLock } from '../../../runtime/images/lock.ts';
import type { ImageStore } from '../../../runtime/images/store.ts';
import { contents, layer, newStore } from './fixture.ts';
import { writeLayout } from './image-builder.ts';
import { scratch } from './unpacking.ts';

/** Imports images of the named layers. */
async function images(store: ImageStore, dir: string, wanted: Readonly<Record<string, readonly string[]>>) {
  const made = new Map<string, Awaited<ReturnType<ImageStore['importImage']>>>();
  for (const [name, layers] of Object.entries(wanted)) {
    writeLayout(join(dir, name), { layers: layers.map(layer), config: { Cmd: layers } });
    made.set(name, await store.importImage(name, join(dir, name)));
  }
  return (name: string) => {
    const image = made.get(name);
    if (!image) throw new Error(`no image ${name}`);
    return image;
  };
}

const names = (store: ImageStore) =>
  store
    .list()
    .map(({ ref }) => ref ?? '(none)')
    .sort();

describe('removing an image', () => {
  it('takes its layers, but not those of other images', async () => {
    using dir = scratch();
    const { store, data } = newStore(dir.path);
    const empty = contents(data);
    const of = await images(store, dir.path, { a: ['shared', 'one'], b: ['shared', 'two'] });
    expect(await store.remove('a')).toEqual({ images: [of('a').digest], inUse: [], layers: 1 });
    expect(names(store)).toEqual(['b']);
    expect((await store.resolve('b', { pull: 'never' })).root.layers.every((path) => existsSync(path))).toBe(
      true,
    );
    expect(await store.remove('b')).toMatchObject({ layers: 2 });
    expect(contents(data)).toEqual(empty);
  });

  it('that has another name leaves the image', async () => {
    using dir = scratch();
    const { store } = newStore(dir.path);
    await images(store, dir.path, { a: ['one'] });
    await store.importImage('alias', join(dir.path, 'a'));
    expect(await store.remove('a')).toEqual({ images: [], inUse: [], layers: 0 });
    expect(existsSync((await store.resolve('alias', { pull: 'never' })).root.layers[0] ?? '')).toBe(true);
  });

  it('is refused while a build holds its lock, and possible afterwards', async () => {
    using dir = scratch();
    const { store, data } = newStore(dir.path);
    const of = await images(store, dir.path, { a: ['one'] });
    const before = contents(data);
    const build = await tryLock(of('a').root.lock, 'shared');
    await expect(store.remove('a')).rejects.toThrow(
      'image local:a is in use by a running build; try again later',
    );
    expect(contents(data)).toEqual(before);
    await build?.release();
    await store.remove('a');
    expect(names(store)).toEqual([]);
  });

  it('that is not there is an error', async () => {
    using dir = scratch();
    await expect(newStore(dir.path).store.remove('debian')).rejects.toThrow(
      'docker.io/library/debian:latest is not in the store',
    );
  });

  it('waits for a pull that runs: layers it counts on are not lost', async () => {
    using dir = scratch();
    const { store, data } = newStore(dir.path);
    await images(store, dir.path, { a: ['one'] });
    const pull = await tryLock(join(data, 'images', 'locks', 'store'), 'shared');
    const lines: string[] = [];
    const removing = store.remove('a', { progress: (line) => lines.push(line) });
    await expect.poll(() => lines).toEqual(['waiting for running pulls to end']);
    expect(names(store)).toEqual(['a']);
    await pull?.release();
    await removing;
    expect(names(store)).toEqual([]);
  });
});

describe('pruning', () => {
  it('takes images without a name and layers without an image', async () => {
    using dir = scratch();
    const { store, data } = newStore(dir.path);
    await images(store, dir.path, { a: ['one'], b: ['two'] });
    const kept = contents(data);
    await images(store, dir.path, { c: ['old', 'one'] });
    rmSync(join(dir.path, 'c'), { recursive: true });
    const of = await images(store, dir.path, { c: ['one'] });
    expect(names(store)).toEqual(['(none)', 'a', 'b', 'c']);
    expect(await store.prune()).toMatchObject({ layers: 1, inUse: [] });
    expect(names(store)).toEqual(['a', 'b', 'c']);
    expect(of('c').root.layers.every((path) => existsSync(path))).toBe(true);
    await store.remove('c');
    expect(contents(data)).toEqual(kept);
  });

  it('of all leaves those in use, and says so', async () => {
    using dir = scratch();
    const { store } = newStore(dir.path);
    const of = await images(store, dir.path, { a: ['one'], b: ['two'] });
    const build = await tryLock(of('a').root.lock, 'shared');
    expect(await store.prune({ kind: 'all' })).toEqual({
      images: [of('b').digest],
      inUse: [of('a').digest],
      layers: 1,
    });
    expect(names(store)).toEqual(['a']);
    await build?.release();
  });

  it('of old ones goes by when they were last asked for', async () => {
    using dir = scratch();
    const { store } = newStore(dir.path);
    const of = await images(store, dir.path, { old: ['one'], used: ['two'] });
    const longAgo = new Date(Date.now() - 10 * 86_400_000);
    for (const name of ['old', 'used']) utimesSync(of(name).root.lock, longAgo, longAgo);
    await store.resolve('used', { pull: 'never' });
    expect(await store.prune({ kind: 'unusedFor', milliseconds: 86_400_000 })).toMatchObject({
      images: [of('old').digest],
    });
    expect(names(store)).toEqual(['used']);
  });

  it('takes what is garbled, and what killed processes left', async () => {
    using dir = scratch();
    const { store, data } = newStore(dir.path);
    const empty = contents(data);
    const of = await images(store, dir.path, { a: ['one'] });
    writeFileSync(join(data, 'images', 'manifests', `${of('a').digest.slice(7)}.json`), '{');
    writeFileSync(join(data, 'images', 'tmp', 'left'), '');
    expect(await store.prune()).toMatchObject({ images: [of('a').digest], layers: 1 });
    expect(contents(data)).toEqual(empty);
  });
});

it('the list tells size, layers and times', async () => {
  using dir = scratch();
  const { store } = newStore(dir.path);
  const of = await images(store, dir.path, { a: ['four', 'three'] });
  const [listed] = store.list();
  expect(listed).toMatchObject({ ref: 'a', digest: of('a').digest, bytes: 9, layers: 2 });
  expect(Date.parse(listed?.usedAt ?? '')).toBeGreaterThan(Date.now() - 60_000);
  expect(Date.parse(listed?.createdAt ?? '')).toBeGreaterThan(Date.now() - 60_000);
});
