import { describe, expect, test } from 'vitest';
import { type Sandbox, SandboxError, type WorkspaceFile } from '../../../runtime/sandbox.ts';
import { lab, shell, start, tell } from './lab.ts';

/** Runs a script that must succeed, in a container that is gone afterwards. */
async function make(sandbox: Sandbox, script: string): Promise<void> {
  const box = start(sandbox);
  const told = await tell(box, shell(`set -e\n${script}`));
  expect(told).toEqual({ exit: { reason: 'exit', code: 0 }, output: '' });
  box.kill();
}

async function contents(sandbox: Sandbox, files: readonly WorkspaceFile[]): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  let path = '';
  await sandbox.read(files, {
    begin: (file) => {
      path = file.path;
      result.set(path, '');
    },
    data: (chunk) => void result.set(path, (result.get(path) ?? '') + chunk.toString()),
    end: () => {},
  });
  return result;
}

const paths = (files: readonly WorkspaceFile[]) => files.map(({ path }) => path).sort();

describe('the list of files', () => {
  test('has regular files only', async () => {
    await using place = lab();
    const sandbox = place.open();
    await make(
      sandbox,
      `echo real >real; ln real hard; mkfifo fifo; ln -s /etc/shadow shadow; ln -s real soft; ln -s . here; ln -s nowhere dangling
      mkdir -p dir; ln -s /etc dir/etc; ln -s ../.. dir/up
      perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("socket")) or die $!'`,
    );
    const files = await sandbox.list([''], 100);
    expect(paths(files)).toEqual(['hard', 'real']);
    expect(Object.fromEntries(await contents(sandbox, files))).toEqual({ hard: 'real\n', real: 'real\n' });
  });

  test.each([
    'shadow',
    'dir',
    'dir/passwd',
    'fifo',
    '..',
    '../etc',
    '/etc',
    '/etc/passwd',
    './../etc',
    'a/../../etc',
  ])('below %j has nothing that is not of the workspace', async (directory) => {
    await using place = lab();
    const sandbox = place.open();
    await make(sandbox, 'mkfifo fifo; ln -s /etc/shadow shadow; ln -s /etc dir; mkdir a');
    expect(await sandbox.list([directory], 100)).toEqual([]);
  });

  test('has names as they are, whatever they are, except those that are not UTF-8', async () => {
    const names = [
      'a b',
      'new\nline',
      'tab\t',
      '"quoted"',
      "'",
      '-rf',
      '$(id)',
      'größe',
      '日本',
      '\u202egnp',
      '%s',
      'x'.repeat(255),
      '...',
      '\\',
      '\x1b[31m',
    ];
    await using place = lab();
    const sandbox = place.open();
    const box = start(sandbox);
    for (const name of names) {
      const made = await box.run({ ...shell(''), args: ['touch', '--', name] }, () => {});
      expect(made.code, name).toBe(0);
    }
    expect((await tell(box, shell('touch "$(printf "bad\\377name")"'))).exit.code).toBe(0);
    box.kill();
    const files = await sandbox.list([''], 100);
    expect(paths(files)).toEqual([...names].sort());
    expect([...(await contents(sandbox, files)).keys()].sort()).toEqual([...names].sort());
  });

  test('has permission bits and true sizes, also beyond 4 GiB', async () => {
    await using place = lab();
    const sandbox = place.open({ limits: { diskBytes: 256 * 2 ** 20 } });
    await make(sandbox, 'truncate -s 5G sparse; echo x >tool; chmod 4751 tool; : >empty; chmod 0 empty');
    const files = await sandbox.list([''], 10);
    expect([...files].sort((a, b) => a.size - b.size)).toEqual([
      { path: 'empty', size: 0, mode: 0 },
      { path: 'tool', size: 2, mode: 0o4751 },
      { path: 'sparse', size: 5 * 2 ** 30, mode: 0o644 },
    ]);
    // What is too large is for the caller to leave out.
    expect(
      await contents(
        sandbox,
        files.filter(({ size }) => size < 100),
      ),
    ).toEqual(
      new Map([
        ['empty', ''],
        ['tool', 'x\n'],
      ]),
    );
  });

  test('goes as deep as 500 directories', async () => {
    await using place = lab();
    const sandbox = place.open();
    await make(sandbox, 'i=0; while [ $i -lt 500 ]; do mkdir d; cd d; i=$((i+1)); done; echo deep >file');
    const files = await sandbox.list([''], 10);
    expect(paths(files)).toEqual([`${'d/'.repeat(500)}file`]);
    expect([...(await contents(sandbox, files)).values()]).toEqual(['deep\n']);
  });

  test('of 50,000 files is complete, and so are their contents', { timeout: 600_000 }, async () => {
    await using place = lab();
    const sandbox = place.open({ limits: { memoryBytes: 2 ** 30, diskBytes: 2 ** 28, diskInodes: 60_000 } });
    await make(
      sandbox,
      'mkdir d; cd d; seq -f "file-with-a-rather-long-name-%05.0f" 50000 | xargs touch; echo x >file-with-a-rather-long-name-33333',
    );
    const files = await sandbox.list(['d'], 60_000);
    expect(new Set(paths(files)).size).toBe(50_000);
    const all = await contents(sandbox, files);
    expect(all.size).toBe(50_000);
    expect(all.get('d/file-with-a-rather-long-name-33333')).toBe('x\n');
    expect(await sandbox.list([''], 1000)).toHaveLength(1000);
  });
});

describe('a file that changed between list and read', () => {
  const collect = expect.objectContaining({ phase: 'collect' });

  test.each([
    ['became a symlink', 'rm -r dir/file; ln -s /etc/shadow dir/file'],
    ['became a symlink to a file of its size', 'mv dir/file other; ln -s ../other dir/file'],
    ['became a FIFO', 'rm dir/file; mkfifo dir/file'],
    ['became a directory', 'rm dir/file; mkdir dir/file'],
    ['went away', 'rm dir/file'],
    ['is below a symlink now', 'mv dir moved; ln -s moved dir'],
    ['grew', 'echo more >>dir/file'],
    ['shrank', ': >dir/file'],
  ])('because it %s is an error, and not read', async (_, change) => {
    await using place = lab();
    const sandbox = place.open();
    await make(sandbox, 'mkdir dir; echo content >dir/file; echo other >good');
    const files = await sandbox.list(['dir'], 10);
    expect(paths(files)).toEqual(['dir/file']);
    await make(sandbox, change);
    const error = await contents(sandbox, files).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SandboxError);
    expect(error).toEqual(collect);
    expect(String(error)).toContain('dir/file');
    expect(await contents(sandbox, await sandbox.list(['good'], 1))).toEqual(new Map([['good', 'other\n']]));
  });

  test.each(['../../etc/passwd', '/etc/passwd', '', '.', 'no/such'])(
    '%j was never listed and is not read',
    async (path) => {
      await using place = lab();
      const sandbox = place.open();
      await expect(contents(sandbox, [{ path, size: 0, mode: 0 }])).rejects.toEqual(collect);
    },
  );
});

test('large files are read exactly', async () => {
  await using place = lab();
  const sandbox = place.open();
  await make(sandbox, 'seq 1 3000000 >numbers');
  const [file] = await sandbox.list([''], 1);
  if (!file) throw new Error('no file');
  let size = 0;
  let last = '';
  await sandbox.read([file], {
    begin: () => {},
    data: async (chunk) => {
      size += chunk.length;
      last = chunk.subarray(-8).toString();
    },
    end: () => {},
  });
  expect(size).toBe(file.size);
  expect(last).toBe('3000000\n');
});
