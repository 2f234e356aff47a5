import { chmodSync, linkSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { cacheKey } from '../../../workers/caches/key.ts';
import { sourceFiles } from '../../../workers/caches/source-files.ts';
import { temporaryDirectory } from '../directory.ts';

type Layer = Readonly<Record<string, string>>;

/** Layers with files; `/` at the end of a name makes a directory, the text `whiteout` hides. */
async function layers(place: string, ...all: readonly Layer[]): Promise<string[]> {
  const work = all.map(async (files, i) => {
    const root = join(place, `layer-${i}`);
    mkdirSync(root);
    for (const [path, text] of Object.entries(files)) {
      const file = join(root, path);
      mkdirSync(path.endsWith('/') ? file : dirname(file), { recursive: true });
      if (text === 'whiteout') await run({ file: 'mknod', args: [file, 'c', '0', '0'] });
      else if (!path.endsWith('/')) writeFileSync(file, text);
    }
    return root;
  });
  return Promise.all(work);
}

async function found(
  directories: readonly string[],
  globs: readonly string[],
  hidden: readonly string[] = [],
) {
  const files = await sourceFiles({ directories, hidden }, globs);
  return Promise.all(files.map(async ({ path, read }) => `${path}=${(await buffer(read())).toString()}`));
}

describe('the key files of a source', () => {
  test('are those that match, of all layers as they are seen together, in path order', async () => {
    using place = temporaryDirectory();
    const directories = await layers(
      place.path,
      {
        lock: 'old',
        'web/lock': 'w',
        'gone/lock': 'g',
        'api/lock': 'a',
        'was-dir/lock': 'x',
        '.git/lock': 'no',
      },
      { lock: 'new', gone: 'whiteout', 'api/lock': 'whiteout', 'was-dir': 'a file', 'more/deep/lock': 'm' },
    );
    expect(await found(directories, ['**/lock'])).toEqual(['lock=new', 'more/deep/lock=m', 'web/lock=w']);
    expect(
      await found(directories, ['web/lock', 'lock', 'api/lock', 'gone/lock', 'was-dir/lock', 'none']),
    ).toEqual(['lock=new', 'web/lock=w']);
    expect(await found(directories, ['**/lock'], ['web', 'more/deep'])).toEqual(['lock=new']);
    expect(await found(directories, ['web/lock'], ['web'])).toEqual([]);
  });

  test('are never beyond a link, nor anything but files', async () => {
    using place = temporaryDirectory();
    const [root = ''] = await layers(place.path, { 'real/lock': 'r' });
    symlinkSync('/etc/shadow', join(root, 'lock'));
    symlinkSync('/etc', join(root, 'etc'));
    symlinkSync('real', join(root, 'link'));
    await run({ file: 'mknod', args: [join(root, 'fifo'), 'p'] });
    const globs = [
      'lock',
      'etc/passwd',
      'link/lock',
      'fifo',
      '**',
      '../layer-0/real/lock',
      '/etc/passwd',
      'real/../real/lock',
    ];
    expect(await found([root], globs)).toEqual(['real/lock=r']);
  });
});

describe('the key', () => {
  const keyOf = async (root: string, globs: readonly string[]) =>
    cacheKey({ directories: [root], hidden: [] }, globs);

  test('is that of paths and contents, and of nothing else', async () => {
    using place = temporaryDirectory();
    const [one = '', two = '', three = '', four = ''] = await layers(
      place.path,
      { a: '1', b: '2', other: 'x' },
      { b: '2', a: '1', other: 'y' },
      { a: '12', b: '' },
      { a: '1', c: '2' },
    );
    chmodSync(join(two, 'a'), 0o600);
    linkSync(join(two, 'other'), join(two, 'third'));
    const keys = await Promise.all([one, two, three, four].map((root) => keyOf(root, ['[abc]'])));
    expect(keys[1]).toEqual(keys[0]);
    expect(new Set(keys.map((key) => JSON.stringify(key))).size).toBe(3);
  });

  test('without files is none', async () => {
    using place = temporaryDirectory();
    const [root = ''] = await layers(place.path, { a: '1' });
    expect([await keyOf(root, []), await keyOf(root, ['b'])]).toEqual([{ kind: 'none' }, { kind: 'none' }]);
  });

  test.each<[string, string, (root: string) => void]>([
    ['too large', 'a', (root) => truncateSync(join(root, 'a'), 2 ** 40)],
    ['a glob that cannot be read', '[', () => {}],
  ])('of what is %s is an error', async (_, glob, change) => {
    using place = temporaryDirectory();
    const [root = ''] = await layers(place.path, { a: '1' });
    change(root);
    await expect(keyOf(root, [glob])).rejects.toThrow(/key files have more than|without \]/);
    rmSync(join(root, 'a'));
  });
});
