import { CommandError, run } from '../../runtime/command.ts';
import { gitCommand } from './environment.ts';

/**
 * Since when files count as changed: `commit`: a commit of before, or one that the target branch of a pull request has,
 * where what matters is the last one that both have.
 */
export interface Since {
  readonly kind: 'before' | 'target';
  /** Its id. */
  readonly commit: string;
}

/** More than this is no change that conditions were made for. */
const mostBytes = 8 * 1024 ** 2;

/** Paths of what differs, deleted files too; undefined: the mirror does not have the commit, or it is too much. */
export async function changedFiles(
  repository: string,
  { kind, commit }: Since,
  sha: string,
): Promise<readonly string[] | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const read = async (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > mostBytes) throw new Error('too many changed files');
  };
  const from = kind === 'target' ? ['--merge-base'] : [];
  const args = ['diff-tree', '-r', '-z', '--no-renames', '--name-only', ...from, commit, sha];
  try {
    await run(gitCommand(repository, args), { onStdout: read });
  } catch (error) {
    if (error instanceof CommandError || bytes > mostBytes) return undefined;
    throw error;
  }
  return Buffer.concat(chunks)
    .toString()
    .split('\0')
    .filter((path) => path !== '');
}
