import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SourceError } from '../../../workers/source.ts';
import { openRemote } from '../../../workers/git/remote.ts';
import { inMerged, wholeCheckout, workplace } from './workplace.ts';

const nobody = () => Promise.reject(new Error('the remote was asked'));

describe('a commit', () => {
  test('that was built before asks nobody and waits for nothing, not even for a process', async () => {
    await using place = await workplace();
    const sha = await place.origin.commit({ 'a/b': 'text', c: { executable: '#!/bin/sh' } });
    const first = await place.use({ sha });
    let second: unknown;
    void place.use({ sha, remote: nobody }).then((tree) => (second = tree));
    // No process ends, and no file is read by the thread pool, while only promises are at work.
    for (let i = 0; i < 100; i++) await Promise.resolve();
    expect(second).toEqual(first);
  });

  test('that a ref has now is told, and the one that it had stays to be had', async () => {
    await using place = await workplace();
    const old = await place.origin.commit({ file: 'old' });
    const found = await place.use();
    const now = await place.origin.commit({ file: 'new' });
    expect([found.sha, (await place.use()).sha]).toEqual([old, now]);
    expect(await inMerged(await place.use({ sha: old }), 'cat file; git status --short')).toBe('old');
  });

  test('is that of HEAD where nothing was said', async () => {
    await using place = await workplace();
    const sha = await place.origin.commit({ file: 'x' });
    expect((await place.use({ ref: undefined })).sha).toBe(sha);
  });

  test('shares what is the same with others: its tree, or all but the difference', async () => {
    await using place = await workplace();
    const shas = [
      await place.origin.commit({ a: '1', b: '1' }),
      await place.origin.commit({ a: '2' }),
      await place.origin.commit({ a: '1', b: '1' }),
    ];
    const trees = [];
    for (const sha of shas) trees.push(await place.use({ sha }));
    expect(new Set(trees.map(({ directories }) => directories[0])).size).toBe(1);
    const own = trees.map(({ directories }) => readdirSync(directories[1] ?? '').sort());
    expect(own).toEqual([['.git'], ['.git', 'a'], ['.git']]);
  });

  test('far from all others gets a whole tree', async () => {
    await using place = await workplace();
    const many = (text: string) => Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`f${i}`, text]));
    const [one, two] = [await place.origin.commit(many('1')), await place.origin.commit(many('2'))];
    const [a, b] = [await place.use({ sha: one }), await place.use({ sha: two })];
    expect(a.directories[0]).not.toBe(b.directories[0]);
    expect(await inMerged(b, 'cat f599; git status --short')).toBe('2');
  });

  test('that changes attributes gets a whole tree, for its other files come out different', async () => {
    await using place = await workplace();
    await place.use({ sha: await place.origin.commit({ text: 'a\nb\n' }) });
    const sha = await place.origin.commit({ '.gitattributes': '*.txt text\ntext text eol=crlf\n' });
    expect(await inMerged(await place.use({ sha }), 'od -c text | head -1; git status --short')).toMatch(
      /a {2}\\r {2}\\n/,
    );
  });

  test('is made again when the tree below it was removed', async () => {
    await using place = await workplace();
    await place.origin.commit({ a: '1', b: '1' });
    await place.use();
    const sha = await place.origin.commit({ a: '2' });
    const before = await place.use({ sha });
    rmSync(dirname(before.directories[0] ?? ''), { recursive: true });
    expect(await inMerged(await place.use({ sha }), 'cat a b; git status --short')).toBe('21');
  });

  test('of SHA-256 is like any other', async () => {
    await using place = await workplace();
    rmSync(place.origin.directory, { recursive: true });
    const init = ['init', '--quiet', '--bare', '--initial-branch=main', '--object-format=sha256'];
    mkdirSync(place.origin.directory);
    await place.origin.git(...init);
    const sha = await place.origin.commit({ file: 'x' });
    expect(sha).toHaveLength(64);
    // By its ref alone nobody knows before what it is.
    const tree = await place.use();
    expect(tree.sha).toBe(sha);
    expect(await inMerged(tree, 'git log --format=%H; git status --short')).toBe(sha);
  });
});

describe('.git in the workspace', () => {
  test('works without network: status, log, describe, branches, diff, commit, fsck', async () => {
    await using place = await workplace();
    const tagged = await place.origin.commit({ 'a/b': 'one\n', gone: '' }, { message: 'first' });
    await place.origin.git('tag', '-a', '-m', 'first', 'v1.0', tagged);
    await place.origin.commit({ other: '' }, { branch: 'feature/x' });
    await place.use();
    const sha = await place.origin.commit({ 'a/b': 'two\n', gone: null }, { message: 'second' });
    const tree = await place.use({ sha });
    const told = async (script: string) => (await inMerged(tree, script)).split('\n');
    expect(await told('git status --short --branch')).toEqual(['## main']);
    expect(await told('git log --format=%s')).toEqual(['second', 'first']);
    expect(await told('git describe')).toEqual([`v1.0-1-g${sha.slice(0, 7)}`]);
    expect(await told('git branch --all --format="%(refname)"')).toEqual([
      'refs/heads/main',
      'refs/remotes/origin/feature/x',
      'refs/remotes/origin/main',
    ]);
    expect(await told('git diff --name-status v1.0')).toEqual(['M\ta/b', 'D\tgone']);
    expect(await told('echo three > a/b; rm -f gone; git diff --numstat')).toEqual(['1\t1\ta/b']);
    const author = '-c user.name=x -c user.email=x@example.org';
    expect(
      await told(`touch new; git add .; git ${author} commit -qm third; git log -1 --format=%s`),
    ).toEqual(['third']);
    expect(await told('git checkout -q -b x origin/feature/x; ls; git status --short')).toEqual(['other']);
    expect(await told('git fsck --strict --no-dangling 2>&1')).toEqual(['']);
  });

  test('needs not read the files to know that nothing changed', async () => {
    await using place = await workplace();
    await place.origin.commit({ a: 'one', b: 'one' });
    await place.use();
    const sha = await place.origin.commit({ a: 'two' });
    // Of the same size and time as it was, but with another content: who reads it notices.
    const forge = (file: string) => `touch -r ${file} ../t; printf 2wo > ${file}; touch -r ../t ${file}`;
    expect(await inMerged(await place.use({ sha }), `${forge('a')}; ${forge('b')}; git status --short`)).toBe(
      '',
    );
  });

  test('of a tag or a pull request has no branch; the tag is there', async () => {
    await using place = await workplace();
    const sha = await place.origin.commit({ a: '1' });
    await place.use({ sha });
    await place.origin.git('tag', '-a', '-m', 'later', 'v2', sha);
    const tag = await place.use({ ref: 'refs/tags/v2', sha });
    expect(await inMerged(tag, 'git describe --exact-match; git branch --show-current')).toBe('v2');
    await place.origin.commit({ a: '2' }, { branch: 'theirs' });
    const head = await place.origin.git('rev-parse', 'theirs');
    await place.origin.git('update-ref', 'refs/pull/1/head', head);
    await place.origin.git('branch', '-D', 'theirs');
    const pull = await place.use({ ref: 'refs/pull/1/head', sha: head });
    expect(await inMerged(pull, 'cat a; git rev-parse --abbrev-ref HEAD')).toBe('2HEAD');
  });

  test('follows the branches of the remote: new, gone, and one in the place of another', async () => {
    await using place = await workplace();
    const first = await place.origin.commit({ a: '1' });
    for (const name of ['old', 'dir', 'other']) await place.origin.git('branch', name, first);
    await place.use({ sha: first });
    await place.origin.git('branch', '-D', 'old', 'dir');
    const sha = await place.origin.commit({ a: '2' }, { branch: 'dir/inner' });
    const tree = await place.use({ ref: 'refs/heads/dir/inner', sha });
    const names = await inMerged(tree, 'git branch --all --format="%(refname:short)"');
    expect(names.split('\n')).toEqual(['dir/inner', 'origin/dir/inner', 'origin/main', 'origin/other']);
    expect(place.said).toEqual([]);
  });

  test('holds no credentials', async () => {
    const auth = { user: 'robot', password: 'pass-word-9' };
    await using place = await workplace({ auth });
    const sha = await place.origin.commit({ a: '1' });
    const credentials = { kind: 'https', ...auth } as const;
    const remote = () => openRemote({ url: place.url, credentials, hosts: 'internal' });
    const tree = await place.use({ sha, remote, repository: 'o/r' });
    const secrets = ['pass-word-9', Buffer.from('robot:pass-word-9').toString('base64'), 'robot'];
    for (const root of [...tree.directories, join(place.dataDir, 'git')]) {
      const found = await inMerged(
        tree,
        `grep -rlF ${secrets.map((text) => `-e ${text}`).join(' ')} ${root} || true`,
      );
      expect(found).toBe('');
    }
    expect(await inMerged(tree, 'git remote get-url origin')).toBe(place.url);
  });
});

describe('a checkout of some paths', () => {
  test('has these alone, and git knows it', async () => {
    await using place = await workplace();
    await place.origin.commit({ 'docs/a': '1', 'docs/sub/b': '1', 'docs.md': '1', 'src/c': '1', top: '1' });
    const checkout = { ...wholeCheckout, paths: ['docs/', 'top'] };
    const look = 'find . -path ./.git -prune -o -type f -print | sort; git status --short';
    expect(await inMerged(await place.use({ checkout }), look)).toBe('./docs/a\n./docs/sub/b\n./top');
    await place.origin.commit({
      'docs/sub/b': null,
      'docs/new': '2',
      'src/c': '2',
      'src/d': '2',
      'docs.md': null,
    });
    const tree = await place.use({ checkout });
    expect(await inMerged(tree, look)).toBe('./docs/a\n./docs/new\n./top');
    expect(readdirSync(tree.directories[1] ?? '').sort()).toEqual(['.git', 'docs']);
  });
});

describe('workflow files', () => {
  test('are found without the tree, and a symlink leads nowhere', async () => {
    await using place = await workplace();
    const sha = await place.origin.commit({
      '.cofferdam.yaml': 'steps: []',
      '.woodpecker/a.yaml': 'a',
      '.woodpecker/b.yml': { symlink: '/etc/passwd' },
      '.woodpecker/deep/c.yaml': 'c',
      '.woodpecker.yml': { symlink: '../../etc/shadow' },
      'other.yaml': 'other',
    });
    for (const directory of [
      (await place.use({ sha })).workflows,
      await place.sources.workflows(place.request({ sha })),
    ]) {
      const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
      expect(names).toEqual([
        '.cofferdam.yaml',
        '.woodpecker',
        '.woodpecker.yml',
        '.woodpecker/a.yaml',
        '.woodpecker/b.yml',
      ]);
      expect(readFileSync(join(directory, '.woodpecker/a.yaml'), 'utf8')).toBe('a');
      for (const name of ['.woodpecker.yml', '.woodpecker/b.yml']) {
        expect(lstatSync(join(directory, name)).isSymbolicLink()).toBe(true);
        expect(existsSync(join(directory, name))).toBe(false);
      }
    }
  });

  test('of a commit that was asked for before start nothing', async () => {
    await using place = await workplace();
    const sha = await place.origin.commit({ '.cofferdam.yaml': 'steps: []' });
    const directory = await place.sources.workflows(place.request({ sha }));
    expect(await place.sources.workflows(place.request({ sha, remote: nobody }))).toBe(directory);
  });
});

describe('what cannot be had', () => {
  const unknown = 'ab'.repeat(20);

  test.each([
    ['a commit that was never pushed', { sha: unknown }, `does not have the commit ${unknown}`],
    ['one without a ref', { sha: unknown, ref: undefined }, `does not have the commit ${unknown}`],
    ['a branch that is gone', { ref: 'refs/heads/gone' }, 'has no refs/heads/gone'],
    ['a commit of a branch that is gone', { ref: 'refs/heads/gone', sha: unknown }, 'has no refs/heads/gone'],
  ])('%s is an error of the source that says what to do', async (_, more, message) => {
    await using place = await workplace();
    await place.origin.commit({ a: '1' });
    const error = await place.use(more).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SourceError);
    expect(error).toMatchObject({ trouble: 'unusable', message: expect.stringContaining(message) });
    // It is not the mirror's fault.
    expect(place.said).toEqual([]);
  });

  test('a tag of what is no commit', async () => {
    await using place = await workplace();
    await place.origin.commit({ a: '1' });
    await place.origin.git('tag', 'file', 'HEAD:a');
    await expect(place.use({ ref: 'refs/tags/file' })).rejects.toThrow(/no commit at refs\/tags\/file/);
  });

  test('an empty repository', async () => {
    await using place = await workplace();
    await expect(place.use({ ref: undefined })).rejects.toThrow(/has no commits yet/);
  });

  test('a remote that does not answer is an error of the service', async () => {
    await using place = await workplace({
      intercept: (_, response) => {
        response.destroy();
        return true;
      },
    });
    const error = await place.use().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SourceError);
    expect(error).toMatchObject({ trouble: 'unavailable' });
  });
});

test('what one repository’s credentials opened is not there for another’s', async () => {
  await using place = await workplace();
  const sha = await place.origin.commit({ a: '1' });
  await place.use({ sha, repository: 'with/credentials' });
  await expect(place.use({ sha, remote: nobody })).rejects.toThrow('the remote was asked');
});

test('a long fetch tells what it does', async () => {
  await using place = await workplace({ delayMs: 600 });
  await place.origin.commit({ a: '1' });
  await place.use();
  expect(place.said[0]).toBe(`fetching ${place.url}: 0 MiB received`);
});

test('a build that is canceled waits no longer, and the next one has no trouble', async () => {
  const gate = Promise.withResolvers<void>();
  await using place = await workplace({
    intercept: async ({ method }) => {
      if (method === 'POST') await gate.promise;
      return false;
    },
  });
  const sha = await place.origin.commit({ a: '1' });
  const stop = new AbortController();
  const first = place.use({ sha, signal: stop.signal });
  const second = place.use({ sha });
  setTimeout(() => stop.abort(new Error('canceled')), 200);
  await expect(first).rejects.toThrow('canceled');
  gate.resolve();
  expect((await second).sha).toBe(sha);
});
