import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { CommandError, run } from '../../../runtime/command.ts';
import type { Random } from '../../random.ts';
import { compileSanitized } from '../holder/sanitized.ts';
import { oneOf, textOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

interface Item {
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink' | 'fifo' | 'hardlink';
  readonly content: string;
}

/** A workspace, and the paths that are asked for. */
interface Question {
  readonly items: readonly Item[];
  readonly asked: readonly string[];
}

const names = [...words('a b c a b .. . ü -rf %s $(id) .git'), 'new\nline', 'x'.repeat(255)];
const contents = [
  '',
  'text',
  '\0',
  'y'.repeat(300_000),
  '../outside',
  '/etc/passwd',
  'a',
  '..',
  '/proc/self/mem',
];
const asks = [
  ...words('/etc/passwd ../outside .. . / a/../.. /proc/self/environ'),
  '',
  'a\0b',
  'x'.repeat(4095),
  'x/'.repeat(3000),
];

/** Nobody: what they read is not root's. */
const nobody = 65_534;

/** The reader of artifacts and the copier of volumes, in workspaces that a build left. */
export const holderFiles: Target<Question> = {
  name: 'holder-files',
  promise:
    'list, read and snapshot give regular files of the workspace as they are, all of them, and nothing else',
  rounds: 60,
  outcomes: ['files', 'empty'],
  cases: [],
  open: async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cofferdam-fuzz-'));
    chmodSync(directory, 0o755);
    const holder = await compileSanitized(directory);
    writeFileSync(join(directory, 'outside'), 'secret');
    const ask = async (
      ...args: readonly string[]
    ): Promise<{ readonly status: number; readonly output: Buffer }> => {
      const ids = ['--reuid', String(nobody), '--regid', String(nobody), '--clear-groups'];
      const chunks: Buffer[] = [];
      const onStdout = (chunk: Buffer) => void chunks.push(chunk);
      let status = 0;
      try {
        await run({ file: 'setpriv', args: [...ids, holder.file, ...args] }, { onStdout });
      } catch (error) {
        if (!(error instanceof CommandError) || error.exitCode === undefined) throw error;
        status = error.exitCode;
      }
      const [finding] = holder.findings();
      if (finding !== undefined) throw new Error(finding);
      return { status, output: Buffer.concat(chunks) };
    };
    return {
      make: questionOf,
      check: async ({ items, asked }) => {
        const workspace = join(directory, 'workspace');
        const copy = join(directory, 'copy');
        for (const path of [workspace, copy]) {
          mkdirSync(path);
          lchownSync(path, nobody, nobody);
        }
        try {
          for (const item of items) make(workspace, item);
          const whole = (await ask('list', workspace, '100000', '')).output;
          const files = listed(whole);
          compare(
            'list',
            files,
            census(workspace).filter(([, kind]) => kind === 'file'),
          );
          const paths = asked.filter((path) => !path.includes('\0'));
          for (const [path] of listed((await ask('list', workspace, '100', ...paths)).output))
            require(workspace, path);
          await checkRead(workspace, paths, (await ask('read', workspace, ...paths)).output);
          const { status } = await ask('snapshot', workspace, workspace, copy, String(2 ** 40), '100000');
          if (status !== (readdirSync(workspace).length === 0 ? 3 : 0))
            throw new Error(`snapshot ended with ${status}`);
          compare('snapshot', census(copy), census(workspace));
          return files.length > 0 ? 'files' : 'empty';
        } finally {
          for (const path of [workspace, copy]) rmSync(path, { recursive: true });
        }
      },
      close: () => rmSync(directory, { recursive: true }),
    };
  },
};

function questionOf(random: Random): Question {
  const path = () => Array.from({ length: random.between(1, 4) }, () => oneOf(random, names)).join('/');
  const items = Array.from({ length: random.between(0, 10) }, (): Item => {
    const kind = oneOf(random, ['file', 'file', 'file', 'directory', 'symlink', 'fifo', 'hardlink'] as const);
    return { path: path(), kind, content: oneOf(random, contents) };
  });
  const own = items.map((item) => item.path);
  const asked = Array.from({ length: random.between(1, 6) }, () =>
    random.chance(0.6)
      ? oneOf(random, [...own, path()]) + textOf(random, ['/', '/.', '/..', '/a'], 1)
      : oneOf(random, asks),
  );
  return { items, asked };
}

/** Below the workspace alone; what is there already stays. */
function make(workspace: string, { path, kind, content }: Item): void {
  const at = join(workspace, normalize(`/${path}`));
  const parents = dirname(at);
  try {
    mkdirSync(parents, { recursive: true });
    if (kind === 'directory') mkdirSync(at);
    else if (kind === 'symlink') symlinkSync(content.replaceAll('\0', '') || '.', at);
    else if (kind === 'hardlink') linkSync(join(workspace, 'a'), at);
    else if (kind === 'file') writeFileSync(at, content, { flag: 'wx' });
    else execFileSync('mkfifo', [at], { stdio: 'ignore' });
  } catch {
    // Something else has the name, or a symlink leads nowhere.
    return;
  }
  if (kind === 'file' && content === '\0') truncateSync(at, 2 ** 20);
  for (let each = at; each !== workspace; each = dirname(each)) lchownSync(each, nobody, nobody);
}

type Found = readonly [path: string, kind: string, about: string];

/** Files with their sizes and modes, directories and symlinks of a tree; nothing else. */
function census(directory: string, prefix = ''): Found[] {
  return readdirSync(join(directory, prefix)).flatMap((name): Found[] => {
    const path = prefix === '' ? name : `${prefix}/${name}`;
    const stat = lstatSync(join(directory, path));
    const mode = (stat.mode & 0o7777).toString(8);
    if (stat.isSymbolicLink()) return [[path, 'symlink', readlinkSync(join(directory, path))]];
    if (stat.isDirectory()) return [[path, 'directory', mode], ...census(directory, path)];
    return stat.isFile() ? [[path, 'file', `${stat.size} ${mode}`]] : [];
  });
}

function listed(output: Buffer): Found[] {
  const fields = output.toString('utf8').split('\0').slice(0, -1);
  return Array.from({ length: fields.length / 3 }, (_, i): Found => {
    const [size, mode, path = ''] = fields.slice(i * 3, i * 3 + 3);
    return [path, 'file', `${size} ${Number(mode).toString(8)}`];
  });
}

function compare(what: string, found: readonly Found[], expected: readonly Found[]): void {
  const text = (list: readonly Found[]) =>
    list
      .map((each) => JSON.stringify(each))
      .sort()
      .join('\n');
  if (text(found) !== text(expected))
    throw new Error(`${what} gave\n${text(found)}\nand not\n${text(expected)}`);
}

/** A path that no symlink is on, to a regular file below the workspace. Returns where it is. */
function require(workspace: string, path: string): string {
  const inside = normalize(path);
  if (inside.startsWith('/') || inside.startsWith('..')) throw new Error(`${path} is not of the workspace`);
  for (let each = inside; each !== '.' && each !== '/'; each = dirname(each)) {
    if (lstatSync(join(workspace, each)).isSymbolicLink()) throw new Error(`${path} leads over a symlink`);
  }
  if (!lstatSync(join(workspace, inside)).isFile()) throw new Error(`${path} is no regular file`);
  return join(workspace, inside);
}

async function checkRead(workspace: string, asked: readonly string[], output: Buffer): Promise<void> {
  let at = 0;
  for (const path of asked) {
    const size = output.readBigUInt64LE(at);
    at += 8;
    if (size === 0xffff_ffff_ffff_ffffn) continue;
    const content = output.subarray(at, at + Number(size));
    at += Number(size);
    if (!content.equals(readFileSync(require(workspace, path))))
      throw new Error(`${path} was read as something else`);
  }
  if (at !== output.length) throw new Error('more came than was asked for');
}
