import { run } from '../../runtime/command.ts';
import { gitCommand } from './environment.ts';
import type { GitPath } from './tree.ts';

/** What has to be laid over one tree so that another is seen. */
export interface Difference {
  /** What the other tree has new or changed: files, symlinks, and the empty directories of submodules. */
  readonly written: readonly { readonly path: GitPath; readonly object: string }[];
  /** What it has no more; of a directory that is gone only itself. */
  readonly hidden: readonly GitPath[];
}

/** More than so many changed files are no small difference, whatever the size of the tree. */
const most = 20_000;

/**
 * The difference between two trees, if it is small: at most `limit` entries, and without a change of attributes, by
 * which files that are the same in both trees may come out different. Throws CommandError.
 */
export async function smallDifference(
  repository: string,
  from: string,
  to: string,
  limit: number,
): Promise<Difference | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let tooMuch = false;
  const args = ['diff-tree', '-r', '-t', '-z', '--raw', '--no-renames', '--full-index', from, to];
  const read = async (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    tooMuch = bytes > Math.min(limit, most) * bytesOfChange;
    if (tooMuch) throw new Error('no small difference');
  };
  try {
    await run(gitCommand(repository, args), { onStdout: read });
  } catch (error) {
    if (tooMuch) return undefined;
    throw error;
  }
  const changes = parseRaw(Buffer.concat(chunks).toString('latin1'));
  if (changes.length > Math.min(limit, most)) return undefined;
  if (changes.some(({ path }) => /(^|\/)\.gitattributes$/.test(path))) return undefined;
  return difference(changes);
}

/** Two ids, two modes and a path that is not short. */
const bytesOfChange = 400;

interface Change {
  readonly before: Kind;
  readonly after: Kind;
  readonly object: string;
  readonly path: GitPath;
}

/** What overlayfs is to show: directories merge, a submodule is an empty one. */
type Kind = 'absent' | 'file' | 'directory' | 'submodule';

/** Output of `git diff-tree -z --raw` (git-diff-tree(1)): `:modes ids status`, path, and so on. */
export function parseRaw(text: string): Change[] {
  const fields = text.split('\0');
  const changes: Change[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [before = '', after = '', , object = ''] = (fields[i] ?? '').slice(1).split(' ');
    changes.push({ before: kindOf(before), after: kindOf(after), object, path: fields[i + 1] ?? '' });
  }
  return changes;
}

function kindOf(mode: string): Kind {
  if (mode === '000000') return 'absent';
  if (mode === '040000') return 'directory';
  return mode === '160000' ? 'submodule' : 'file';
}

/**
 * Whiteouts go only where overlayfs would show what is gone: not below a directory that is gone itself, nor where
 * something new covers it. A submodule in the place of a directory covers nothing, for directories merge.
 */
export function difference(changes: readonly Change[]): Difference {
  const goneDirectories = new Set<GitPath>();
  const submodules = new Set<GitPath>();
  const written: { path: GitPath; object: string }[] = [];
  const there = new Set<GitPath>();
  for (const { before, after, object, path } of changes) {
    if (before === 'directory' && after !== 'directory') goneDirectories.add(path);
    if (after === 'absent') continue;
    there.add(path);
    if (after === 'submodule') submodules.add(path);
    if (after !== 'directory') written.push({ path, object });
  }
  const hidden = changes
    .filter(({ after, path }) => after === 'absent' && !there.has(path))
    .map(({ path }) => path)
    .filter((path) => {
      const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
      return !goneDirectories.has(parent) || submodules.has(parent);
    });
  return { written, hidden };
}
