import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { artifactStore, ArtifactStoreError } from '../../src/artifacts.ts';
import { type Directory, temporaryDirectory } from '../workers/directory.ts';

let out: Directory;
beforeEach(() => {
  out = temporaryDirectory();
  return () => out[Symbol.dispose]();
});

async function keep(
  path: string,
  content = 'content',
  mode = 0o644,
  directory: string | undefined = out.path,
) {
  const store = artifactStore(directory);
  try {
    await store.begin({ path, mode });
    await store.data(Buffer.from(content));
    return await store.end();
  } catch (error) {
    await store.discard();
    throw error;
  }
}

const sha256 = createHash('sha256').update('content').digest('hex');
const files = () => readdirSync(out.path, { recursive: true, encoding: 'utf8' });

describe('an artifact', () => {
  test('is measured where nothing is kept', async () => {
    const store = artifactStore(undefined);
    await store.begin({ path: 'a', mode: 0o644 });
    await store.data(Buffer.from('con'));
    await store.data(Buffer.from('tent'));
    expect(await store.end()).toEqual({ path: 'a', size: 7, sha256 });
  });

  test('lies under its own path, in a directory that is made', async () => {
    const directory = join(out.path, 'not/yet');
    expect(await keep('dist/deep/a.tgz', 'content', 0o644, directory)).toEqual({
      path: 'dist/deep/a.tgz',
      size: 7,
      sha256,
    });
    expect(readFileSync(join(directory, 'dist/deep/a.tgz'), 'utf8')).toBe('content');
  });

  test('appears whole or not at all', async () => {
    const store = artifactStore(out.path);
    await store.begin({ path: 'a', mode: 0o644 });
    await store.data(Buffer.from('half'));
    expect(existsSync(join(out.path, 'a'))).toBe(false);
    await store.discard();
    expect(files()).toEqual([]);
  });

  test('takes the place of an older one, which stays until the new one is complete', async () => {
    await keep('a', 'old');
    const store = artifactStore(out.path);
    await store.begin({ path: 'a', mode: 0o644 });
    expect(readFileSync(join(out.path, 'a'), 'utf8')).toBe('old');
    await store.data(Buffer.from('new'));
    await store.end();
    expect(readFileSync(join(out.path, 'a'), 'utf8')).toBe('new');
  });

  test.each([
    [0o755, 0o755],
    [0o644, 0o644],
    [0o000, 0o600],
    [0o6777, 0o755],
  ])('of mode %i can be read and replaced by its owner, and gives nobody new rights', async (mode, kept) => {
    await keep('a', 'content', mode);
    expect(statSync(join(out.path, 'a')).mode & 0o7777).toBe(kept);
  });

  test.each([
    ['a name with a newline', 'new\nline'],
    ['the longest name there is', 'n'.repeat(255)],
    ['a name like that of an unfinished file', 'a.partial'],
    ['an empty file', 'empty', ''],
  ])('can have %s', async (_, path, content = 'content') => {
    await keep('a');
    await keep(path, content);
    expect(readFileSync(join(out.path, path), 'utf8')).toBe(content);
    expect(files().sort()).toEqual(['a', path].sort());
  });
});

describe('nothing is written outside the directory, whose files may be a stranger’s', () => {
  test('through a directory that is a symlink', async () => {
    using elsewhere = temporaryDirectory();
    symlinkSync(elsewhere.path, join(out.path, 'dist'));
    await expect(keep('dist/a')).rejects.toThrow(
      new ArtifactStoreError(
        `cannot keep the artifact dist/a: ${out.path}/dist is a symlink; remove it, or choose another directory`,
      ),
    );
    expect(readdirSync(elsewhere.path)).toEqual([]);
  });

  test('through a file that is a symlink: it is replaced', async () => {
    using elsewhere = temporaryDirectory();
    elsewhere.write({ precious: 'precious' });
    symlinkSync(join(elsewhere.path, 'precious'), join(out.path, 'a'));
    symlinkSync(join(elsewhere.path, 'precious'), join(out.path, 'a.partial'));
    await keep('a');
    expect(readFileSync(join(elsewhere.path, 'precious'), 'utf8')).toBe('precious');
    expect(lstatSync(join(out.path, 'a')).isFile()).toBe(true);
  });
});

describe('an artifact that cannot be kept says which, where and why', () => {
  test.each<readonly [string, (path: string) => void]>([
    ['its place is a directory', (path) => mkdirSync(join(path, 'd/a'), { recursive: true })],
    ['its directory is a file', () => out.write({ d: '' })],
  ])('%s', async (_, prepare) => {
    prepare(out.path);
    const before = files();
    const error: unknown = await keep('d/a').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ArtifactStoreError);
    expect(String(error)).toMatch(/cannot keep the artifact d\/a: E(ISDIR|NOTDIR|EXIST): .*\/d/);
    expect(files()).toEqual(before);
  });
});
