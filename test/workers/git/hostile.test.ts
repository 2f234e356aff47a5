import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { SourceError } from '../../../workers/source.ts';
import { checkPath } from '../../../workers/git/tree.ts';
import { cleanGit, type TestRepository } from '../../git/repository.ts';
import { inMerged, type Workplace, workplace } from './workplace.ts';

/** Writes an object whatever is in it. */
async function forge(
  { directory }: TestRepository,
  type: 'tree' | 'blob' | 'commit',
  content: Buffer | string,
): Promise<string> {
  const args = ['-C', directory, 'hash-object', '-w', '-t', type, '--literally', '--stdin'];
  const { stdout } = await run({ file: 'git', args, env: cleanGit }, { input: Buffer.from(content) });
  return stdout.toString().trim();
}

const entry = (mode: string, name: string | Buffer, id: string) =>
  Buffer.concat([Buffer.from(`${mode} `), Buffer.from(name), Buffer.from([0]), Buffer.from(id, 'hex')]);

/** A commit of a tree that git itself would not make, as the tip of main. */
async function commitTree(origin: TestRepository, tree: string): Promise<string> {
  const sha = await origin.git('commit-tree', '-m', 'forged', tree);
  await origin.git('update-ref', 'refs/heads/main', sha);
  return sha;
}

const problemOf = (place: Workplace) =>
  place.use().then(
    () => 'taken',
    (error: unknown) => error,
  );

describe('a tree with a hostile name is refused when it is fetched', () => {
  test.each<[string, string, string | Buffer]>([
    ['.git', '40000', '.git'],
    ['.GIT', '40000', '.GIT'],
    ['a file .git', '100644', '.git'],
    ['a symlink .git', '120000', '.git'],
    ['git~1', '40000', 'git~1'],
    ['.git with what HFS+ ignores', '40000', '.g\u200cit'],
    ['..', '40000', '..'],
    ['.', '40000', '.'],
    ['a slash', '100644', 'a/b'],
    ['.gitmodules that is a symlink', '120000', '.gitmodules'],
  ])('%s', async (_, mode, name) => {
    await using place = await workplace();
    const blob = await forge(place.origin, 'blob', '/etc/passwd');
    const inner = await forge(place.origin, 'tree', entry('100755', 'config', blob));
    const tree = await forge(place.origin, 'tree', entry(mode, name, mode === '40000' ? inner : blob));
    await commitTree(place.origin, tree);
    const problem = await problemOf(place);
    expect(problem).toBeInstanceOf(SourceError);
    expect(problem).toMatchObject({ trouble: 'unusable' });
    expect(String(problem)).toMatch(/damaged or hostile object/);
  });
});

test('old tools’ harmless mistakes are forgiven', async () => {
  await using place = await workplace();
  const blob = await forge(place.origin, 'blob', 'text');
  const inner = await forge(place.origin, 'tree', entry('100644', 'file', blob));
  const tree = await forge(place.origin, 'tree', entry('040000', 'dir', inner));
  const commit = `tree ${tree}\nauthor A<a@example.org> 0 +9999999\ncommitter A <a@example.org 0 +0000\n\nold\n`;
  await place.origin.git('update-ref', 'refs/heads/main', await forge(place.origin, 'commit', commit));
  expect(await inMerged(await place.use(), 'cat dir/file')).toBe('text');
});

describe('a path', () => {
  test.each([
    '.git',
    '.Git',
    'a/.GIT/b',
    'git~1',
    'GIT~1/x',
    '.git.',
    '.git ',
    '.git . .',
    '.git:x',
    '.git::$DATA',
    '.git\\x',
    '.g\u200cit',
    '.git\u200d',
    '\ufeff.git',
    'a/../b',
    './a',
    'a//b',
    '/a',
    '',
  ])('%j is refused', (path) => {
    expect(() => checkPath(Buffer.from(path).toString('latin1'), { pathBytes: 100 })).toThrow(SourceError);
  });

  test.each([
    '.gitignore',
    '.github/x',
    'git',
    'a.git',
    '.git2',
    'git~2',
    '...',
    'a..b',
    'ü',
    'a\nb',
    '.gitmodules',
  ])('%j is none', (path) => {
    expect(() => checkPath(Buffer.from(path).toString('latin1'), { pathBytes: 100 })).not.toThrow();
  });

  test('may not be longer than what can be mounted', () => {
    expect(() => checkPath('a/'.repeat(60), { pathBytes: 100 })).toThrow(/more than 100 bytes/);
  });
});

test('a small tree that names itself ten million times is refused before anything is written', async () => {
  await using place = await workplace();
  const blob = await forge(place.origin, 'blob', 'x');
  let tree = await forge(
    place.origin,
    'tree',
    Buffer.concat(letters.map((name) => entry('100644', name, blob))),
  );
  for (let level = 0; level < 6; level++) {
    const below = tree;
    tree = await forge(
      place.origin,
      'tree',
      Buffer.concat(letters.map((name) => entry('40000', name, below))),
    );
  }
  await commitTree(place.origin, tree);
  const problem = await problemOf(place);
  expect(String(problem)).toMatch(/more than 2000000 files/);
  expect(problem).toMatchObject({ trouble: 'unusable' });
  expect(readdirSync(join(place.dataDir, 'sources'))).toEqual([]);
  // Two million of its names are listed before that is too many.
}, 180_000);

const letters = Array.from('abcdefghij');

test('nothing that a repository names runs on the worker: filters, hooks, file system monitors', async () => {
  await using place = await workplace();
  const canary = join(place.dataDir, 'canary');
  await place.origin.commit({ file: 'old' });
  await place.use();
  // Should one ever get into a mirror.
  const [id = ''] = readdirSync(join(place.dataDir, 'git/mirrors'));
  const hooks = join(place.dataDir, 'git/mirrors', id.replace('.lock', ''), 'repository/hooks');
  mkdirSync(hooks);
  for (const name of ['post-checkout', 'post-index-change', 'reference-transaction', 'fsmonitor-watchman']) {
    writeFileSync(join(hooks, name), `#!/bin/sh\ntouch ${canary}\n`, { mode: 0o755 });
  }
  await place.origin.commit({
    '.gitattributes': '* filter=evil diff=evil merge=evil\n',
    '.gitconfig': `[filter "evil"]\n\tsmudge = touch ${canary}\n\trequired = true\n`,
    '.lfsconfig': `[lfs]\n\turl = ext::touch ${canary}\n`,
    '.gitmodules': `[submodule "x"]\n\tpath = x\n\turl = ext::touch% ${canary}\n`,
    x: { commit: 'ab'.repeat(20) },
    link: { symlink: canary },
    file: 'text',
  });
  const tree = await place.use();
  expect(await inMerged(tree, 'cat file; git status --short')).toBe('text');
  expect(readdirSync(place.dataDir)).not.toContain('canary');
});

describe('too much', () => {
  test('of history ends the fetch with an error that says so, and nothing stays', async () => {
    await using place = await workplace({ limits: { mirrorBytes: 4 * 1024 ** 2 } });
    const noise = Buffer.alloc(24 * 1024 ** 2);
    for (let i = 0; i + 4 <= noise.length; i += 4) noise.writeInt32LE(Math.imul(i, 0x9e3779b1) ^ (i << 7), i);
    await place.origin.commit({ noise });
    const problem = await problemOf(place);
    expect(String(problem)).toMatch(/is larger than 4 MiB.*remove large files from its history/);
    expect(problem).toMatchObject({ trouble: 'unusable' });
    await place.origin.commit({ noise: 'small' }, { branch: 'small' });
  });

  test('of branches: only what is built is fetched, and the log says so', async () => {
    await using place = await workplace({ limits: { refs: 50 } });
    const sha = await place.origin.commit({ a: '1' });
    const names = Array.from(
      { length: 200_000 },
      (_, i) => `${sha} refs/heads/b${String(i).padStart(6, '0')}\n`,
    );
    writeFileSync(
      join(place.origin.directory, 'packed-refs'),
      `# pack-refs with: sorted \n${names.join('')}`,
    );
    expect(await inMerged(await place.use(), 'cat a; git branch --all --format="%(refname)"')).toBe(
      '1refs/heads/main\nrefs/remotes/origin/main',
    );
    expect(place.said).toEqual([
      `${place.url} has more than 50 branches and tags: only what is built is fetched`,
    ]);
  });

  test.each([
    ['silence', { silentMs: 300 }, /was silent for 0.3 s/],
    ['time', { fetchMs: 300 }, /was not fetched within 0.3 s/],
  ])('of %s ends it too', async (_, limits, message) => {
    const gate = Promise.withResolvers<void>();
    await using place = await workplace({
      limits,
      intercept: async () => {
        await gate.promise;
        return false;
      },
    });
    const problem = await problemOf(place);
    gate.resolve();
    expect(String(problem)).toMatch(message);
    expect(problem).toMatchObject({ trouble: 'unavailable' });
  });
});
