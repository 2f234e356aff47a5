import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openStorage } from '../../../src/storage/storage.ts';
import { storedSnapshots } from '../../../workers/caches/stored.ts';
import { oneOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

/** What a build may leave in a cache; names as bytes, in latin1. */
interface Item {
  readonly path: string;
  readonly kind: 'file' | 'holes' | 'directory' | 'symlink' | 'hardlink';
  readonly content: string;
  readonly mode: number;
  readonly owner: number;
  /** Seconds. */
  readonly time: number;
}

const names = [
  words('a b c a b .wh.a .wh..wh..opq .wh. -rf --x \\ \\n \\141 "a" * [a] ü %2e @LongLink ./. .git'),
  ['a\nb', '\xff\xfe', '\t', ' ', 'x'.repeat(255), '\x01', 'ü'.repeat(100), 'path=x'],
].flat();
const contents = [
  '',
  'text',
  'y'.repeat(100_000),
  '../../outside',
  '/etc/passwd',
  'a',
  'x'.repeat(300),
  '\n',
];

const facts = {
  project: 'p',
  name: 'n',
  key: 'a'.repeat(64),
  savedAt: '2026-01-01T00:00:00.000Z',
  files: 0,
  bytes: 0,
  entries: 0,
};

/** Caches on their way through storage to another worker. */
export const snapshots: Target<readonly Item[]> = {
  name: 'snapshots',
  promise: 'whatever a build leaves in a cache comes back from storage as it was',
  rounds: 60,
  outcomes: ['same'],
  cases: [],
  open: () => {
    const directory = mkdtempSync(join(tmpdir(), 'cofferdam-fuzz-'));
    const storage = openStorage(`file:${join(directory, 'storage')}`);
    // Nothing contains tar here: what it writes elsewhere shows.
    const stored = storedSnapshots(storage, (cwd, command) => ({ ...command, cwd }));
    return {
      make: (random) =>
        Array.from({ length: random.between(0, 9) }, () => ({
          path: Array.from({ length: random.between(1, 4) }, () => oneOf(random, names)).join('/'),
          kind: oneOf(random, ['file', 'file', 'holes', 'directory', 'symlink', 'hardlink'] as const),
          content: oneOf(random, contents),
          mode: oneOf(random, [0o644, 0o755, 0, 0o4755, 0o1777, 0o600]),
          owner: oneOf(random, [0, 1, 1000, 65_535]),
          time: oneOf(random, [0, 1, 1e9, -1, -1e9, 4e9, 1e9 + 0.5]),
        })),
      check: async (items) => {
        const from = join(directory, 'from');
        const to = join(directory, 'to');
        for (const path of [from, to]) mkdirSync(path);
        try {
          for (const item of items) make(from, item);
          await stored.put(facts, from);
          const known = await stored.find(facts, facts.key);
          if (!known) throw new Error('it is not there');
          await stored.fetch(known, to, () => {});
          await stored.drop(known);
          const [before, after] = [look(from), look(to)];
          if (before !== after)
            throw new Error(`${JSON.stringify(before)}\nbecame\n${JSON.stringify(after)}`);
          return 'same';
        } finally {
          for (const path of [from, to]) rmSync(path, { recursive: true });
        }
      },
      close: () => rmSync(directory, { recursive: true }),
    };
  },
};

function make(root: string, { path, kind, content, mode, owner, time }: Item): void {
  const bytes = Buffer.from(`${root}/${path}`, 'latin1');
  const target = Buffer.from(content === '' ? '.' : content, 'latin1');
  try {
    mkdirSync(Buffer.from(dirname(`${root}/${path}`), 'latin1'), { recursive: true });
    if (kind === 'directory') mkdirSync(bytes);
    else if (kind === 'symlink') symlinkSync(target, bytes);
    else if (kind === 'hardlink') linkSync(join(root, 'a'), bytes);
    else writeFileSync(bytes, content, { flag: 'wx' });
    if (kind === 'holes' && /^[ -~]+$/.test(path)) truncateSync(`${root}/${path}`, 2 ** 21);
  } catch {
    // Something else has the name already.
    return;
  }
  lchownSync(bytes, owner, owner);
  if (!lstatSync(bytes).isSymbolicLink()) chmodSync(bytes, mode);
  // Node takes none before 1970.
  if (time >= 0) lutimesSync(bytes, time, time);
  else if (/^[ -~]+$/.test(path)) execFileSync('touch', ['-hd', `@${time}`, `${root}/${path}`]);
}

/** All that is kept of a tree: kinds, names, modes, owners, sizes, targets, links, times in seconds, contents. */
function look(root: string): string {
  const script = `cd "$1"; find . -mindepth 1 -printf '%y %m %U %G %s %n %Ts %P -> %l\\0' | sort -z
    find . -type f -print0 | sort -z | xargs -0r sha256sum -z`;
  return execFileSync('sh', ['-c', script, 'sh', root], {
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  }).toString('latin1');
}
