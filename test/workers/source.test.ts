import { chownSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../runtime/command.ts';
import { describeSource, SourceError } from '../../workers/source.ts';
import { useDescribedTree } from './described-tree.ts';
import { gitIn } from './work-tree.ts';
import { temporaryDirectory } from './directory.ts';

const { tree, stateDir, git, commit, describeTree, hidden } = useDescribedTree();

describe('what git ignores is hidden', () => {
  test('by all its rules: nested, negated, of a directory, anchored; what is not ignored stays', async () => {
    tree.write({
      '.gitignore': '*.o\n!keep.o\n/build/\ncache\n',
      'lib/.gitignore': '*.log\n!important.log\n',
      'a.c': '',
      'a.o': '',
      'keep.o': '',
      'build/x/y': '',
      'lib/build/z': '',
      'lib/a.log': '',
      'lib/important.log': '',
      'lib/cache/c': '',
      'other.log': '',
    });
    await commit();
    tree.write({ 'new.c': '', 'new.o': '' });
    expect(await hidden()).toEqual(['a.o', 'build', 'lib/a.log', 'lib/cache', 'new.o']);
  });

  test('before the first commit, and with no index at all', async () => {
    tree.write({ '.gitignore': '*.o\n', 'a.o': '', 'a.c': '' });
    await git('init', '--quiet');
    expect(await hidden()).toEqual(['a.o']);
  });

  test('but not what is tracked although it is ignored, also below an ignored directory', async () => {
    tree.write({ '.gitignore': 'dist\n*.o\n', 'dist/kept': '', 'dist/made': '', 'a.o': '', 'b.o': '' });
    await git('init', '--quiet');
    await git('add', '--force', 'dist/kept', 'a.o');
    expect(await hidden()).toEqual(['b.o', 'dist/made']);
  });

  test.each(['--split-index', '--untracked-cache', '--index-version=4'])(
    'with an index of git update-index %s',
    async (option) => {
      tree.write({ '.gitignore': '*.o\n', 'a.o': '', 'b.o': '', 'a.c': '' });
      await git('init', '--quiet');
      await git('add', '--force', 'a.o', 'a.c');
      await git('update-index', ...option.split('='));
      tree.write({ 'c.c': '' });
      await git('add', 'c.c');
      expect(await hidden()).toEqual(['b.o']);
    },
  );

  test('in a repository of SHA-256', async () => {
    tree.write({ '.gitignore': '*.o\n', 'a.o': '', 'b.o': '' });
    const { length } = await commit('--object-format=sha256');
    await git('add', '--force', 'a.o');
    expect(length).toBe(64);
    expect(await hidden()).toEqual(['b.o']);
  });

  test('each once and nothing below it: git names a directory around an ignored one, and the ignored one', async () => {
    tree.write({ '.gitignore': 'dist/\n', 'out/dist/a': '', 'out/deep/dist/a': '' });
    await commit();
    expect(await hidden()).toEqual(['out']);
    // Our own state too, in an ignored directory.
    const { hidden: own } = await describeSource(tree.path, join(tree.path, 'out/dist'));
    expect(own).toEqual(['out']);
  });

  test('by .git/info/exclude', async () => {
    await commit();
    tree.write({ '.git/info/exclude': '/private\n', private: '', public: '' });
    expect(await hidden()).toEqual(['private']);
  });

  test('whatever the names', async () => {
    const names = ['a b.o', 'a\nb.o', `a"b'c.o`, '-rf.o', '..o.o', 'größe.o', '[x].o', '\\.o'];
    tree.write({ '.gitignore': '*.o\n', ...Object.fromEntries(names.map((name) => [`d/${name}`, ''])) });
    tree.write({ '..b.o': '', 'd/tracked': '' });
    await commit();
    expect(await hidden()).toEqual(['..b.o', ...names.map((name) => `d/${name}`)].sort());
    expect(await hidden('d')).toEqual([...names].sort());
  });

  test.each(['sub', 's*b', 'a[b]', ':(top)', ' '])('for the directory %j of a work tree', async (name) => {
    tree.write({ '.gitignore': '*.o\n', 'a.o': '', 'sab/x.o': '', 'ab/x.o': '' });
    tree.write({ [`${name}/b.o`]: '', [`${name}/deep/c.o`]: '', [`${name}/deep/c`]: '', [`${name}/b`]: '' });
    await commit();
    expect(await hidden(name)).toEqual(['b.o', 'deep/c.o']);
  });

  test('through symlinks that lead to the directory', async () => {
    tree.write({ '.gitignore': '*.o\n', 'sub/b.o': '', 'sub/b.c': '' });
    await commit();
    using links = temporaryDirectory();
    symlinkSync(tree.path, join(links.path, 'tree'));
    symlinkSync(join(tree.path, 'sub'), join(links.path, 'sub'));
    const real = { directory: join(tree.path, 'sub'), hidden: ['b.o'] };
    expect(await describeSource(join(links.path, 'sub'), stateDir())).toMatchObject(real);
    expect(await describeSource(join(links.path, 'tree/sub'), stateDir())).toMatchObject(real);
  });

  test('in a linked work tree, which has an index of its own and shares the exclude file', async () => {
    tree.write({ '.gitignore': '*.o\n', 'a.c': '' });
    const sha = await commit();
    await git('worktree', 'add', '--quiet', '-b', 'side', 'linked');
    tree.write({ '.git/info/exclude': '/private\n' });
    tree.write({ 'linked/a.o': '', 'linked/b.o': '', 'linked/private': '', 'linked/b.c': '' });
    await git('-C', 'linked', 'add', '--force', 'b.o');
    expect(await hidden('linked')).toEqual(['a.o', 'private']);
    expect((await describeTree('linked')).git).toEqual({ ref: 'refs/heads/side', sha });
  });

  test('in a submodule', async () => {
    using library = temporaryDirectory();
    library.write({ '.gitignore': '*.o\n', 'lib.c': '' });
    for (const args of [
      ['init', '-q'],
      ['add', '.'],
      ['commit', '-qm', 'x'],
    ]) {
      await gitIn(library.path, ...args);
    }
    await commit();
    await git('submodule', '--quiet', 'add', library.path, 'vendor');
    tree.write({ 'vendor/lib.o': '', 'vendor/new.c': '' });
    expect(await hidden('vendor')).toEqual(['lib.o']);
  });

  test('also when another user owns the repository', async () => {
    tree.write({ '.gitignore': '*.o\n', 'a.o': '' });
    await commit();
    for (const name of ['', '.git', '.git/HEAD', '.git/index'])
      chownSync(join(tree.path, name), 65534, 65534);
    expect(await hidden()).toEqual(['a.o']);
  });

  test('nothing is, outside of a work tree or beside a .git that is no repository', async () => {
    tree.write({ '.gitignore': '*.o\n', 'a.o': '' });
    expect(await describeTree()).toEqual({ directory: tree.path, hidden: [], git: {} });
    mkdirSync(join(tree.path, '.git'));
    expect(await hidden()).toEqual([]);
  });

  test('a .git that is no repository does not end the search for one', async () => {
    tree.write({ '.gitignore': '*.o\n', 'sub/a.o': '', 'sub/.git/keep': '' });
    await git('init', '--quiet');
    expect(await hidden('sub')).toEqual(['a.o']);
  });
});

test('our own state is hidden when it is inside the source', async () => {
  const data = join(tree.path, 'var/data');
  expect((await describeSource(tree.path, data)).hidden).toEqual([]);
  mkdirSync(data, { recursive: true });
  expect((await describeSource(tree.path, data)).hidden).toEqual(['var/data']);
  expect((await describeSource(join(tree.path, 'var'), data)).hidden).toEqual(['data']);
  mkdirSync(join(tree.path, '..data'));
  expect((await describeSource(tree.path, join(tree.path, '..data'))).hidden).toEqual(['..data']);
  expect((await describeSource(data, tree.path)).hidden).toEqual([]);
});

describe('the commit of the source', () => {
  test('is that of its branch, also when that is packed', async () => {
    const sha = await commit();
    expect((await describeTree()).git).toEqual({ ref: 'refs/heads/main', sha });
    await git('pack-refs', '--all');
    expect((await describeTree()).git).toEqual({ ref: 'refs/heads/main', sha });
  });

  test('stands alone when HEAD is detached', async () => {
    const sha = await commit();
    await git('checkout', '--quiet', '--detach');
    expect((await describeTree()).git).toEqual({ sha });
  });

  test('is unknown before the first one', async () => {
    await git('init', '--quiet', '--initial-branch=main');
    expect((await describeTree()).git).toEqual({ ref: 'refs/heads/main' });
  });
});

describe('a source that cannot be used', () => {
  test('is not a directory', async () => {
    tree.write({ file: '' });
    for (const name of ['file', 'missing', 'file/below']) {
      await expect(describeTree(name)).rejects.toThrow(
        new SourceError(`${tree.path}/${name} is not a directory`),
      );
    }
  });

  test('has a damaged index', async () => {
    await commit();
    tree.write({ '.git/index': 'not an index' });
    await expect(describeTree()).rejects.toThrow(
      new RegExp(`^cannot tell what git ignores in ${tree.path}: git: .*index file .*\\(exit code 128\\)$`),
    );
    await expect(describeTree()).rejects.toThrow(SourceError);
  });

  test('is a work tree on a machine without git', async () => {
    await commit();
    const script = `
      mount -t tmpfs none /mnt; mkdir /mnt/up /mnt/work; mknod /mnt/up/git c 0 0
      mount -t overlay -o lowerdir=/usr/bin,upperdir=/mnt/up,workdir=/mnt/work none /usr/bin
      exec "$@"`;
    const program =
      "import { describeSource } from './workers/source.ts';" +
      'await describeSource(...process.argv.slice(1)).catch(({ name, message }) => console.log(name, message));';
    const { stdout } = await run({
      file: 'unshare',
      args: [
        ['--mount', 'sh', '-ec', script, 'sh'],
        [process.execPath, '--input-type=module', '-e', program, tree.path, stateDir()],
      ].flat(),
    });
    expect(stdout.toString()).toBe(
      `SourceError ${tree.path} is a git work tree, and git is missing: apt-get install git\n`,
    );
  });
});
