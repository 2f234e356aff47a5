import { mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { openFileStorage } from '../../../src/storage/file.ts';

let root: string;
/** Directories below root whose entries were synced, in order; '' is root itself. */
let synced: string[];
/** Called before each sync. */
let onSync: (directory: string) => Promise<void> | void;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'cofferdam-placing-'));
  synced = [];
  onSync = () => {};
  const handle = await open(root, 'r');
  const files: FileHandle = Object.getPrototypeOf(handle);
  await handle.close();
  // oxlint-disable-next-line typescript/unbound-method -- called on the file that the spy is called on
  const { sync } = files;
  const spy = vi.spyOn(files, 'sync').mockImplementation(async function (this: FileHandle) {
    const directory = relative(root, readlinkSync(`/proc/self/fd/${this.fd}`));
    await onSync(directory);
    await sync.call(this);
    synced.push(directory);
  });
  onTestFinished(() => {
    spy.mockRestore();
    rmSync(root, { recursive: true });
  });
});

/** A storage that has been written to, so that what it is made of is there. */
async function opened() {
  const storage = openFileStorage(root);
  await storage.put('builds/a/log', Buffer.from('x'));
  synced = [];
  return storage;
}

describe('what is put into a directory', () => {
  test('that is there costs one sync of it', async () => {
    const storage = await opened();
    await storage.put('builds/a/log.json', Buffer.from('x'));
    await storage.put('builds/a/log.json', Buffer.from('y'));
    expect(synced).toEqual(['builds/a', 'builds/a']);
  });

  test('that is new also syncs those above it, up to the first that was there', async () => {
    const storage = await opened();
    await storage.put('builds/b/attempts/1/log', Buffer.from('x'));
    expect(synced).toEqual(['builds/b/attempts/1', 'builds/b/attempts', 'builds/b', 'builds']);
    synced = [];
    await storage.put('builds/b/attempts/2/log', Buffer.from('x'));
    expect(synced).toEqual(['builds/b/attempts/2', 'builds/b/attempts']);
  });

  test('of a storage that is new syncs the way to the storage, too', async () => {
    mkdirSync(join(root, 'var'));
    await openFileStorage(join(root, 'var/lib/archive')).put('a', Buffer.from('x'));
    expect(new Set(synced)).toEqual(new Set(['var', 'var/lib', 'var/lib/archive']));
  });

  test.for<[string, string]>([
    ['the same', 'builds/b/attempts/1/log.json'],
    ['another one in it', 'builds/b/attempts/1/artifacts/a'],
    ['one beside it', 'builds/b/attempts/2/log'],
  ])('that another call has just made is on disk when that is synced: %s', async ([, key]) => {
    const storage = await opened();
    const parent = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    onSync = (directory) => {
      if (directory !== 'builds') return undefined;
      reached.resolve();
      return parent.promise;
    };
    const order: string[] = [];
    const first = storage.put('builds/b/attempts/1/log', Buffer.from('x')).then(() => order.push('first'));
    await reached.promise;
    const second = storage.put(key, Buffer.from('y')).then(() => order.push('second'));
    const elsewhere = await storage.put('builds/a/other', Buffer.from('z'));
    expect(elsewhere).toEqual({ bytes: 1 });
    await vi.waitFor(() => expect(synced).toContain(key.slice(0, key.lastIndexOf('/'))));
    expect(order).toEqual([]);
    parent.resolve();
    await Promise.all([first, second]);
    expect(synced.filter((directory) => directory === 'builds')).toEqual(['builds']);
  });

  test('where a file is in the way is refused, and nothing waits for it afterwards', async () => {
    const storage = await opened();
    writeFileSync(join(root, 'builds/file'), '');
    await expect(storage.put('builds/file/log', Buffer.from('x'))).rejects.toThrow('ENOTDIR');
    await storage.put('builds/c/log', Buffer.from('x'));
    expect(synced).toEqual(['builds/c', 'builds']);
  });
});
