import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSettings, type Settings } from '../../src/settings.ts';
import type { RedisHandle } from '../../src/redis.ts';
import { openStorage, type Storage } from '../../src/storage/storage.ts';
import { useRedis } from '../redis.ts';
import { type Directory, temporaryDirectory } from '../workers/directory.ts';

const redis = useRedis();
let directory: Directory;
let storage: Storage;
let handle: RedisHandle;
let settings: Settings;
beforeEach(async () => {
  directory = temporaryDirectory();
  storage = openStorage(`file:${join(directory.path, 'archive')}`);
  handle = await redis.connect();
  settings = openSettings(handle, storage);
});
afterEach(() => directory[Symbol.dispose]());

/** What an empty Redis has after it was filled from the same storage. */
async function restored(): Promise<Settings> {
  const other = openSettings(await redis.connect(), storage);
  await other.restore();
  return other;
}

const names = ['acme/app', 'a', 'x.y_z-1', 'a/b/c/d/e/f/g/h', 'w'.repeat(200)];

test('entries are made, replaced, changed and removed', async () => {
  expect(await settings.get('k', 'a')).toBeUndefined();
  expect(await settings.add('k', 'a', '1')).toBe(true);
  expect(await settings.add('k', 'a', '2')).toBe(false);
  expect(await settings.get('k', 'a')).toBe('1');
  await settings.put('k', 'a', '3');
  expect(await settings.change('k', 'a', (old) => `${old}4`)).toBe('34');
  expect(await settings.change('k', 'b', () => 'never')).toBeUndefined();
  await settings.put('k/sub', 'b', '5');
  expect(await settings.all('k')).toEqual(new Map([['a', '34']]));
  expect(await settings.kinds('k')).toEqual(['k', 'k/sub']);
  expect(await settings.remove('k/sub', 'b')).toBe(true);
  expect(await settings.remove('k/sub', 'b')).toBe(false);
  expect(await settings.kinds('k')).toEqual(['k']);
});

describe('a Redis that lost its data', () => {
  test('gets all of it back, and nothing that was removed', async () => {
    for (const name of names) await settings.put('k', name, `text of ${name}`);
    await settings.put('secrets/repository/acme%2Fapp', 'NPM_TOKEN', 'sealed');
    await settings.put('k', 'gone', 'text');
    await settings.remove('k', 'gone');
    const other = await restored();
    expect([...(await other.all('k')).keys()]).toEqual([...names].sort());
    for (const name of names) expect(await other.get('k', name)).toBe(`text of ${name}`);
    expect(await other.get('secrets/repository/acme%2Fapp', 'NPM_TOKEN')).toBe('sealed');
    expect(await other.kinds('')).toEqual(await settings.kinds(''));
  });

  test('keeps what was set since', async () => {
    await settings.put('k', 'a', 'old');
    await settings.put('k', 'b', 'old');
    const other = openSettings(await redis.connect(), storage);
    await other.put('k', 'a', 'new');
    expect(await other.restore()).toBe(1);
    expect(await other.all('k')).toEqual(new Map(Object.entries({ a: 'new', b: 'old' })));
  });

  test('is filled to the end by the next start when the first one was cut off', async () => {
    for (const name of names) await settings.put('k', name, name);
    let left = 2;
    const failing: Storage = {
      ...storage,
      get: (key) => (left-- > 0 ? storage.get(key) : Promise.reject(new Error('the storage is away'))),
    };
    const empty = await redis.connect();
    await expect(openSettings(empty, failing).restore()).rejects.toThrow('the storage is away');
    expect(await openSettings(empty, storage).restore()).toBe(names.length - 2);
    expect(await openSettings(empty, storage).restore()).toBe(0);
    expect((await openSettings(empty, storage).all('k')).size).toBe(names.length);
  });
});

test('a copy that could not be made is made at the next start', async () => {
  await settings.restore();
  await settings.put('k', 'a', 'old');
  const full: Storage = { ...storage, put: () => Promise.reject(new Error('the storage is full')) };
  await expect(openSettings(handle, full).put('k', 'a', 'new')).rejects.toThrow('the storage is full');
  expect(await (await restored()).get('k', 'a')).toBe('old');
  await settings.restore();
  expect(await (await restored()).get('k', 'a')).toBe('new');
});

test('what cannot be copied is not added, and can be later', async () => {
  const full: Storage = { ...storage, put: () => Promise.reject(new Error('the storage is full')) };
  await expect(openSettings(handle, full).add('k', 'a', '1')).rejects.toThrow('the storage is full');
  expect(await settings.get('k', 'a')).toBeUndefined();
  expect(await settings.add('k', 'a', '2')).toBe(true);
});

test('no change of many at once is lost', async () => {
  await settings.put('k', 'a', '0');
  const add = () => settings.change('k', 'a', (old) => String(Number(old) + 1));
  await Promise.all(Array.from({ length: 20 }, add));
  expect(await settings.get('k', 'a')).toBe('20');
});

test.for<[string, (settings: Settings) => Promise<unknown>]>([
  ['put', (other) => other.put('k', 'a', 'new')],
  ['change', (other) => other.change('k', 'a', () => 'new')],
  ['remove', (other) => other.remove('k', 'a')],
])('a copy that comes late does not outlive a newer %s of another process', async ([, newer]) => {
  const late = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const held: Storage = {
    ...storage,
    put: async (key, body) => {
      begun.resolve();
      await late.promise;
      return await storage.put(key, body);
    },
  };
  const older = openSettings(handle, held).put('k', 'a', 'old');
  await begun.promise;
  await newer(settings);
  late.resolve();
  await older;
  expect(await (await restored()).get('k', 'a')).toBe(await settings.get('k', 'a'));
  expect(await settings.get('k', 'a')).not.toBe('old');
});
