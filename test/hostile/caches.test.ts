import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ImageError } from '../../runtime/images/image.ts';
import { openStorage, type Storage } from '../../src/storage/storage.ts';
import { storedSnapshots } from '../../workers/caches/stored.ts';
import { type Entry, file, hardlink, symlink, tar } from '../runtime/images/tar-builder.ts';
import { census } from '../runtime/images/unpacking.ts';

// Whoever writes to the storage can give an archive the right digest. It still reaches nothing but the cache.
let scratch: string;
let storage: Storage;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'cofferdam-hostile-'));
  storage = openStorage(`file:${join(scratch, 'storage')}`);
});
afterAll(() => rmSync(scratch, { recursive: true }));

test.each<[string, readonly Entry[]]>([
  ['a name that leads out', [file('../outside', 'evil')]],
  ['a name that leads out and back', [file('a/../../tree/../outside', 'evil')]],
  ['a file through a symlink', [symlink('link', '..'), file('link/outside', 'evil')]],
  ['a hard link to what is not in it', [hardlink('mine', '/etc/shadow')]],
  ['a hard link through a symlink', [symlink('link', '..'), hardlink('mine', 'link/outside')]],
  ['an owner that no build has', [file('a', 'x', { uid: 0x7000_0000 })]],
  ['a size that nobody has room for', [file('a', 'x', { size: 2 ** 50 })]],
])('an archive with %s is refused', async (_what, entries) => {
  const bytes = zstdCompressSync(tar([file('fine', 'x'), ...entries]));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const cache = { project: 'p', name: 'n', key: 'a'.repeat(64) };
  const facts = { ...cache, savedAt: '2026-01-01T00:00:00.000Z', files: 1, bytes: 1, entries: 1 };
  const place = mkdtempSync(join(scratch, 'place-'));
  const tree = join(place, 'tree');
  // Nothing contains tar here: what is refused never gets to it.
  const stored = storedSnapshots(storage, (cwd, command) => ({ ...command, cwd }));
  writeFileSync(join(place, 'outside'), 'unharmed');
  await stored.put(facts, mkdtempSync(join(place, 'empty-')));
  const key = (await Array.fromAsync(storage.list('caches/'))).find((each) => each.endsWith('.zst')) ?? '';
  await storage.put(key, bytes);
  mkdirSync(tree);
  const snapshot = { ...facts, sha256, archiveBytes: bytes.length };
  await expect(stored.fetch(snapshot, tree, () => {})).rejects.toThrow(ImageError);
  await stored.drop(snapshot);
  expect(census(place).filter((path) => !/^(tree|empty)/.test(path))).toEqual(['outside']);
  expect(readFileSync(join(place, 'outside'), 'utf8')).toBe('unharmed');
  expect(lstatSync(join(place, 'outside')).nlink).toBe(1);
});
