import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../runtime/command.ts';
import { fakeDriver } from '../../runtime/fake/driver.ts';
import { type Sandbox, SandboxError } from '../../runtime/sandbox.ts';
import { artifactStore, ArtifactStoreError } from '../../src/artifacts.ts';
import { defaultLimits } from '../../src/limits.ts';
import { ArtifactError, collectArtifacts, defaultArtifactCaps } from '../../workers/artifacts.ts';
import { type Directory, temporaryDirectory } from './directory.ts';

/** A sandbox whose workspace has these files. */
function sandboxWith(source: Directory, files: Readonly<Record<string, string | Buffer>>): Sandbox {
  source.write(files);
  return fakeDriver(() => ({})).open({
    id: 'a',
    limits: defaultLimits,
    workspace: { path: '/workspace', sources: [source.path], hidden: [] },
  });
}

/** What is collected: paths; and the warnings. */
async function collect(
  sandbox: Sandbox,
  globs: readonly string[],
  { caps = defaultArtifactCaps, into }: { caps?: typeof defaultArtifactCaps; into?: string } = {},
) {
  const warnings: string[] = [];
  const patterns = globs.map((glob) => ({ glob, when: 'always' as const }));
  const records = await collectArtifacts(sandbox, patterns, artifactStore(into), caps, (message) =>
    warnings.push(message),
  );
  return { paths: records.map(({ path }) => path), records, warnings };
}

const tree = {
  Makefile: '',
  'a.deb': '',
  '.hidden': '',
  'dist/a.tgz': '',
  'dist/b.zip': '',
  'dist/.map': '',
  'dist/deep/er/c.tgz': '',
  'distant/d.tgz': '',
  'new\nline/e\n.tgz': '',
  'größe.txt': '',
  '[x]/f': '',
  '!g': '',
};

describe('a pattern takes', () => {
  test.each<readonly [string, readonly string[], readonly string[]]>([
    ['one file', ['a.deb'], ['a.deb']],
    ['one file, written with ./', ['./a.deb'], ['a.deb']],
    ['files of one directory', ['dist/*'], ['dist/a.tgz', 'dist/b.zip']],
    ['all below a directory', ['dist/**'], ['dist/a.tgz', 'dist/b.zip', 'dist/deep/er/c.tgz']],
    ['all below a directory that ends in /', ['dist/'], ['dist/a.tgz', 'dist/b.zip', 'dist/deep/er/c.tgz']],
    [
      'any depth, newlines in names too',
      ['**/*.tgz'],
      ['dist/a.tgz', 'dist/deep/er/c.tgz', 'distant/d.tgz', 'new\nline/e\n.tgz'],
    ],
    ['any depth in the middle', ['dist/**/c.tgz'], ['dist/deep/er/c.tgz']],
    ['alternatives', ['{dist,distant}/*.{tgz,zip}'], ['dist/a.tgz', 'dist/b.zip', 'distant/d.tgz']],
    ['one of some letters', ['dist/[ab].*'], ['dist/a.tgz', 'dist/b.zip']],
    ['one letter', ['gr??e.txt'], ['größe.txt']],
    ['dotfiles only by a dot', ['.*', 'dist/.*'], ['.hidden', 'dist/.map']],
    ['a name with brackets, quoted', ['\\[x\\]/f'], ['[x]/f']],
    ['a name with an exclamation mark', ['!g'], ['!g']],
    [
      'each file once, where patterns overlap',
      ['dist/deep/**', 'dist/**', '**/c.tgz'],
      ['dist/a.tgz', 'dist/b.zip', 'dist/deep/er/c.tgz'],
    ],
    ['not what only begins alike', ['dist/deep/e*', 'dis'], []],
    ['no extended globs', ['@(a).deb', '+(a|b).deb'], []],
  ])('%s', async (_, globs, expected) => {
    using source = temporaryDirectory();
    expect((await collect(sandboxWith(source, tree), globs)).paths).toEqual(expected);
  });
});

test('a pattern that matches nothing is a warning, and no other', async () => {
  using source = temporaryDirectory();
  const { paths, warnings } = await collect(sandboxWith(source, tree), ['*.rpm', 'a.deb', 'none/**']);
  expect(paths).toEqual(['a.deb']);
  expect(warnings).toEqual(["artifacts: nothing matches '*.rpm'", "artifacts: nothing matches 'none/**'"]);
});

test('of the workspace only what patterns begin with is looked at, and nothing twice', async () => {
  using source = temporaryDirectory();
  const sandbox = sandboxWith(source, tree);
  const asked: string[][] = [];
  const list: Sandbox['list'] = (directories, limit) => {
    asked.push([...directories].sort());
    return sandbox.list(directories, limit);
  };
  await collect({ ...sandbox, list }, ['dist/deep/**', 'dist/*', 'distant/d.tgz']);
  await collect({ ...sandbox, list }, ['dist/*', '*.deb']);
  expect(asked).toEqual([['dist', 'distant/d.tgz'], ['']]);
});

test('no patterns: the sandbox is not even asked', async () => {
  using source = temporaryDirectory();
  const sandbox = sandboxWith(source, {});
  await sandbox.destroy();
  expect((await collect(sandbox, [])).paths).toEqual([]);
});

test('contents arrive as they were, with their size and SHA-256', async () => {
  using source = temporaryDirectory();
  using out = temporaryDirectory();
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 31) >> 2));
  const { records } = await collect(sandboxWith(source, { 'd/bytes': bytes, empty: '' }), ['**'], {
    into: out.path,
  });
  const hash = (content: Buffer) => createHash('sha256').update(content).digest('hex');
  expect(records).toEqual([
    { path: 'd/bytes', size: 100_000, sha256: hash(bytes) },
    { path: 'empty', size: 0, sha256: hash(Buffer.alloc(0)) },
  ]);
  expect(readFileSync(join(out.path, 'd/bytes')).equals(bytes)).toBe(true);
});

describe('more than a build may hand over', () => {
  test.each([
    [{ files: 1, bytes: 100 }, 'artifacts: 2 files, at most 1; pack them into an archive'],
    [{ files: 2, bytes: 9 }, 'artifacts: 10 bytes, at most 9; choose fewer or smaller files'],
  ])('%j is refused before anything is written', async (caps, message) => {
    using source = temporaryDirectory();
    using out = temporaryDirectory();
    const sandbox = sandboxWith(source, { a: '12345', b: '67890' });
    await expect(collect(sandbox, ['*'], { caps, into: out.path })).rejects.toThrow(
      new ArtifactError(message),
    );
    expect(readdirSync(out.path)).toEqual([]);
  });

  test('exactly as much is fine', async () => {
    using source = temporaryDirectory();
    const sandbox = sandboxWith(source, { a: '12345', b: '67890' });
    expect((await collect(sandbox, ['*'], { caps: { files: 2, bytes: 10 } })).paths).toEqual(['a', 'b']);
  });
});

test('a file that vanishes breaks the collection; what was complete stays, nothing is half there', async () => {
  using source = temporaryDirectory();
  using out = temporaryDirectory();
  const sandbox = sandboxWith(source, { a: 'a', b: 'b' });
  const list: Sandbox['list'] = async (directories, limit) => [
    ...(await sandbox.list(directories, limit)),
    { path: 'aa-gone', size: 1, mode: 0o644 },
  ];
  await expect(collect({ ...sandbox, list }, ['*'], { into: out.path })).rejects.toThrow(SandboxError);
  expect(readdirSync(out.path)).toEqual(['a']);
});

test('a full disk names the artifact, and nothing is half there', async () => {
  using source = temporaryDirectory();
  using out = temporaryDirectory();
  const small = join(out.path, 'small');
  mkdirSync(small);
  await run({ file: 'mount', args: ['-t', 'tmpfs', '-o', 'size=64k', 'none', small] });
  try {
    const sandbox = sandboxWith(source, { 'a/large': Buffer.alloc(200_000, 'x') });
    const error: unknown = await collect(sandbox, ['**'], { into: small }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ArtifactStoreError);
    expect(String(error)).toContain('cannot keep the artifact a/large: ENOSPC');
    expect(readdirSync(join(small, 'a'))).toEqual([]);
  } finally {
    await run({ file: 'umount', args: ['--lazy', small] });
  }
});
