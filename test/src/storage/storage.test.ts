import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFileStorage } from '../../../src/storage/file.ts';
import { StorageMissing } from '../../../src/storage/missing.ts';
import { openStorage, type Storage, StorageUrlError } from '../../../src/storage/storage.ts';
import { type S3Server, startS3 } from './s3-server.ts';

const MiB = 1024 ** 2;

let directory: string;
let s3: S3Server;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cofferdam-storage-'));
  s3 = await startS3(join(directory, 's3'));
});
afterAll(async () => {
  await s3.stop();
  rmSync(directory, { recursive: true });
});

const storages: [string, () => Storage][] = [
  ['file:', () => openStorage(`file:${join(directory, 'archive')}`)],
  ['s3:', () => openStorage(s3.url('a/prefix'))],
];

async function keysOf(storage: Storage, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of storage.list(prefix)) keys.push(key);
  return keys;
}

describe.each(storages)('storage %s', (_scheme, open) => {
  let storage: Storage;
  let places = 0;
  /** A place of its own for each test. */
  let at: string;
  beforeAll(() => {
    storage = open();
  });

  const fresh = () => `place-${places++}`;
  const read = async (key: string, range?: Parameters<Storage['get']>[1]) =>
    buffer((await storage.get(key, range)).body);
  const keys = async (prefix: string) => (await keysOf(storage, prefix)).toSorted();
  async function* inPieces(...pieces: readonly Buffer[]) {
    for (const piece of pieces) yield await Promise.resolve(piece);
  }

  test('gives back what was put, whole and in part', async () => {
    at = fresh();
    const content = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 256));
    expect(await storage.put(`${at}/key`, content)).toEqual({ bytes: 1000 });
    expect(await read(`${at}/key`)).toEqual(content);
    expect(await storage.head(`${at}/key`)).toEqual({ bytes: 1000 });
    const table: [{ start: number; end?: number }, Buffer][] = [
      [{ start: 0 }, content],
      [{ start: 990 }, content.subarray(990)],
      [{ start: 10, end: 10 }, content.subarray(10, 11)],
      [{ start: 10, end: 99 }, content.subarray(10, 100)],
      [{ start: 10, end: 99_999 }, content.subarray(10)],
      [{ start: 1000 }, Buffer.alloc(0)],
      [{ start: 5000, end: 6000 }, Buffer.alloc(0)],
    ];
    for (const [range, expected] of table) {
      const { body, bytes, total } = await storage.get(`${at}/key`, range);
      expect({ bytes, total, body: await buffer(body) }).toEqual({
        bytes: expected.length,
        total: 1000,
        body: expected,
      });
    }
  });

  test('takes a body in pieces, nothing, and more than one part of an upload', async () => {
    at = fresh();
    const pieces = Array.from({ length: 12 }, (_, i) => Buffer.alloc(MiB, `${i} `));
    expect(await storage.put(`${at}/large`, inPieces(...pieces))).toEqual({ bytes: 12 * MiB });
    expect(Buffer.compare(await read(`${at}/large`), Buffer.concat(pieces))).toBe(0);
    expect(await storage.put(`${at}/none`, inPieces())).toEqual({ bytes: 0 });
    expect(await storage.put(`${at}/empty`, Buffer.alloc(0))).toEqual({ bytes: 0 });
    expect(await read(`${at}/none`)).toHaveLength(0);
    expect(await read(`${at}/empty`)).toHaveLength(0);
  });

  test('replaces, and a body that breaks off replaces nothing', async () => {
    at = fresh();
    const key = `${at}/key`;
    await storage.put(key, Buffer.from('first'));
    await storage.put(key, Buffer.from('second'));
    for (const length of [1, 12 * MiB]) {
      const breaking = async function* () {
        yield Buffer.alloc(length);
        await Promise.resolve();
        throw new Error('broke off');
      };
      await expect(storage.put(key, breaking())).rejects.toThrow('broke off');
      await expect(storage.put(`${at}/new`, breaking())).rejects.toThrow('broke off');
    }
    expect((await read(key)).toString()).toBe('second');
    expect(await keys(`${at}/`)).toEqual([key]);
  });

  test('what is not there is StorageMissing, and undefined for head', async () => {
    at = fresh();
    await storage.put(`${at}/a/b`, Buffer.from('x'));
    for (const key of [`${at}/none`, `${at}/a`, `${at}/a/b/c`]) {
      await expect(storage.get(key)).rejects.toThrow(StorageMissing);
      await expect(storage.get(key, { start: 5 })).rejects.toMatchObject({ key });
      expect(await storage.head(key)).toBeUndefined();
    }
  });

  test('lists and removes what is below a prefix and nothing beside it', async () => {
    at = fresh();
    const below = ['1/x', '1/y/z', '1/y/ü "\n?%41#&+.tgz'].map((each) => `${at}/${each}`);
    const beside = [`${at}/10/x`, `${at}/2`];
    for (const key of [...below, ...beside]) await storage.put(key, Buffer.from(key));
    expect(await keys(`${at}/1/`)).toEqual(below.toSorted());
    expect((await read(below[2] ?? '')).toString()).toBe(below[2]);
    await storage.removeAll(`${at}/1/`);
    await storage.removeAll(`${at}/1/`);
    expect(await keys(`${at}/`)).toEqual(beside.toSorted());
    await storage.remove(`${at}/2`);
    await storage.remove(`${at}/2`);
    expect(await keys(`${at}/`)).toEqual([`${at}/10/x`]);
    expect(await keys(`${at}/none/`)).toEqual([]);
  });

  test('puts many at once', async () => {
    at = fresh();
    const names = Array.from({ length: 100 }, (_, i) => `${at}/${i % 7}/${i}`);
    await Promise.all(names.map((key) => storage.put(key, Buffer.from(key))));
    expect(await keys(`${at}/`)).toEqual(names.toSorted());
    await storage.removeAll(`${at}/`);
    expect(await keys(`${at}/`)).toEqual([]);
  });

  test.each(['', '/a', 'a/', 'a//b', '../a', 'a/./b', 'a/..', 'a\0', '.tmp/a'])(
    'refuses the key %j',
    async (key) => {
      await expect(storage.put(key, Buffer.from('x'))).rejects.toThrow(TypeError);
      await expect(storage.get(key)).rejects.toThrow(TypeError);
      await expect(storage.head(key)).rejects.toThrow(TypeError);
      await expect(storage.remove(key)).rejects.toThrow(TypeError);
    },
  );

  test.each(['', '/', 'a', '../', 'a/../'])('refuses the prefix %j', async (prefix) => {
    await expect(storage.removeAll(prefix)).rejects.toThrow(TypeError);
    await expect(keys(prefix)).rejects.toThrow(TypeError);
  });
});

test('files are their owner’s alone, and unfinished ones go: at once when a body breaks off, else after a day', async () => {
  const root = join(directory, 'files');
  await openFileStorage(root).put('a/b', Buffer.from('x'));
  expect(statSync(join(root, 'a')).mode & 0o777).toBe(0o700);
  expect(statSync(join(root, 'a/b')).mode & 0o777).toBe(0o600);
  for (const name of ['recent', 'abandoned']) writeFileSync(join(root, '.tmp', name), '');
  const yesterday = Date.now() / 1000 - 25 * 60 * 60;
  utimesSync(join(root, '.tmp/abandoned'), yesterday, yesterday);
  const again = openFileStorage(root);
  await again.put('c', Buffer.from('x'));
  expect(readdirSync(join(root, '.tmp'))).toEqual(['recent']);
});

test('a bucket without a prefix, and keys beside the prefix', async () => {
  await openStorage(s3.url('')).put('a/prefixed/x', Buffer.from('x'));
  await openStorage(s3.url('a/prefix/')).put('only/y', Buffer.from('y'));
  expect(await keysOf(openStorage(s3.url('a/prefix')), 'only/')).toEqual(['only/y']);
  expect(await keysOf(openStorage(s3.url('')), 'a/prefixed/')).toEqual(['a/prefixed/x']);
});

test.each(['', 'archive', 'file:relative', 'http://x', 's3://', 's3:///x', 's3://bucket?acl=public'])(
  '%j is no storage',
  (url) => {
    expect(() => openStorage(url)).toThrow(StorageUrlError);
  },
);
