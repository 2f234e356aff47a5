import { run } from '../../runtime/command.ts';
import type { LayerLimits } from '../../runtime/images/layer-limits.ts';
import { SourceError } from '../source.ts';
import { gitCommand } from './environment.ts';

/** A path of a tree, byte for byte: one character each (latin1), as git does not say how names are encoded. */
export type GitPath = string;

/** Such a path below a directory of this machine. */
export function pathIn(directory: string, path: GitPath): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, 'latin1')]);
}

export interface TreeTally {
  readonly bytes: number;
  readonly paths: readonly GitPath[];
}

/**
 * Reads a whole tree without writing anything, and refuses one that is larger than `limits`, or has a name that could
 * be taken for `.git`. Stops at the first that is too much: a small tree can name itself many times over. Throws
 * SourceError, and CommandError when the mirror cannot be read.
 */
export async function readTree(repository: string, tree: string, limits: LayerLimits): Promise<TreeTally> {
  const paths: GitPath[] = [];
  let bytes = 0;
  let rest = '';
  let refused: SourceError | undefined;
  const take = (record: string) => {
    const [, size = '', path = ''] = /^\d+ \w+ [\da-f]+ +(\S+)\t([^]*)$/.exec(record) ?? [];
    checkPath(path, limits);
    paths.push(path);
    bytes += size === '-' ? 0 : Number(size);
    if (bytes > limits.bytes) throw new SourceError(`the tree has more than ${limits.bytes} bytes`);
    if (paths.length > limits.entries)
      throw new SourceError(`the tree has more than ${limits.entries} files`);
  };
  const read = async (chunk: Buffer) => {
    const records = (rest + chunk.toString('latin1')).split('\0');
    rest = records.pop() ?? '';
    try {
      if (rest.length > 2 * limits.pathBytes) throw tooLong(rest, limits);
      records.forEach(take);
    } catch (error) {
      if (error instanceof SourceError) refused = error;
      throw error;
    }
  };
  const args = ['ls-tree', '-r', '-l', '-z', '--full-tree', tree];
  await run(gitCommand(repository, args), { onStdout: read }).catch((error: unknown) => {
    throw refused ?? error;
  });
  return { bytes, paths };
}

/** Throws SourceError for a path that no checkout should have. */
export function checkPath(path: GitPath, limits: Pick<LayerLimits, 'pathBytes'>): void {
  if (path.length > limits.pathBytes) throw tooLong(path, limits);
  if (path.split('/').some(isDotGit)) {
    throw new SourceError(
      `the tree has a path that could be taken for a repository's own files: ${shown(path)}`,
    );
  }
}

/** As HFS+, NTFS and Windows read names (git's is_hfs_dotgit and is_ntfs_dotgit): a build may put its files there. */
function isDotGit(part: string): boolean {
  if (part === '' || part === '.' || part === '..') return true;
  const name = Buffer.from(part, 'latin1')
    .toString()
    .replace(/[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g, '')
    .replace(/[:\\][^]*$/, '')
    .replace(/[ .]+$/, '')
    .toLowerCase();
  return name === '.git' || name === 'git~1';
}

function tooLong(path: GitPath, limits: Pick<LayerLimits, 'pathBytes'>): SourceError {
  return new SourceError(
    `the tree has a path of more than ${limits.pathBytes} bytes: ${shown(path.slice(0, 100))}…`,
  );
}

const shown = (path: GitPath) => JSON.stringify(Buffer.from(path, 'latin1').toString());
