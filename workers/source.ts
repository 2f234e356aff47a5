import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { CommandError, run, type ToolCommand } from '../runtime/command.ts';

/** What a build is made from: a directory of this machine, which is only read. */
export interface Source {
  readonly directory: string;
  /** Paths below it that the build does not see. */
  readonly hidden: readonly string[];
  readonly git: { readonly ref?: string; readonly sha?: string };
}

/** The source cannot be used; the message says why and what to do. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

interface WorkTree {
  readonly top: string;
  /** Where the index and HEAD are. */
  readonly gitDir: string;
}

/**
 * Describes a directory as the source of a build. In a git work tree, files that git ignores are hidden, and so is
 * our own state. Throws SourceError.
 */
export async function describeSource(directory: string, dataDir: string): Promise<Source> {
  const path = resolve(directory);
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new SourceError(`${directory} is not a directory`);
  }
  const state = relative(path, dataDir);
  const own =
    state !== '' && !state.startsWith('..') && !isAbsolute(state) && existsSync(dataDir) ? [state] : [];
  const tree = findWorkTree(path);
  if (!tree) return { directory: path, hidden: own, git: {} };
  return {
    directory: path,
    hidden: [...own, ...(await ignoredPaths(path, tree, dataDir))],
    git: headOf(tree),
  };
}

/** The work tree that a directory lies in. Found by us, not by git, so that no repository's configuration is read. */
function findWorkTree(directory: string): WorkTree | undefined {
  for (let top = directory; ; top = dirname(top)) {
    const dotGit = join(top, '.git');
    const found = statSync(dotGit, { throwIfNoEntry: false });
    if (found?.isDirectory()) return { top, gitDir: dotGit };
    if (found?.isFile()) {
      const target = readFileSync(dotGit, 'utf8').match(/^gitdir: (.+)$/m)?.[1];
      if (target !== undefined) return { top, gitDir: resolve(top, target) };
    }
    if (top === dirname(top)) return undefined;
  }
}

/**
 * What git ignores below a directory. git runs on an empty repository of ours with the index and exclude file of
 * the real one: nothing that its configuration could name (fsmonitor, hooks, filters) is run, whoever wrote it.
 */
async function ignoredPaths(directory: string, tree: WorkTree, dataDir: string): Promise<string[]> {
  const command = listIgnored(directory, tree, emptyRepository(dataDir));
  try {
    const { stdout } = await run(command);
    const prefix = relative(tree.top, directory);
    return stdout
      .toString()
      .split('\0')
      .filter((path) => path !== '')
      .map((path) => (prefix === '' ? path : relative(prefix, path)))
      .map((path) => path.replace(/\/$/, ''))
      .filter((path) => path !== '' && !path.startsWith('..'));
  } catch (error) {
    if (error instanceof CommandError && error.kind === 'missing') {
      throw new SourceError(`${directory} is a git work tree, and git is missing: apt-get install git`, {
        cause: error,
      });
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new SourceError(`cannot tell what git ignores in ${directory}: ${reason}`, { cause: error });
  }
}

function listIgnored(directory: string, { top, gitDir }: WorkTree, repository: string): ToolCommand {
  const exclude = join(gitDir, 'info', 'exclude');
  const index = join(gitDir, 'index');
  return {
    file: 'git',
    args: [
      [`--git-dir=${repository}`, `--work-tree=${top}`, 'ls-files', '-z'],
      ['--others', '--ignored', '--exclude-standard', '--directory'],
      existsSync(exclude) ? [`--exclude-from=${exclude}`] : [],
      ['--', directory],
    ].flat(),
    cwd: top,
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOME: '/nonexistent',
      LC_ALL: 'C.UTF-8',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_TERMINAL_PROMPT: '0',
      GIT_OPTIONAL_LOCKS: '0',
      ...(existsSync(index) && { GIT_INDEX_FILE: index }),
    },
  };
}

function emptyRepository(dataDir: string): string {
  const repository = join(dataDir, 'empty.git');
  if (!existsSync(join(repository, 'HEAD'))) {
    for (const part of ['objects', 'refs']) mkdirSync(join(repository, part), { recursive: true });
    writeFileSync(join(repository, 'HEAD'), 'ref: refs/heads/none\n');
  }
  return repository;
}

/** Branch and commit of the work tree, as far as plain files tell. */
function headOf({ gitDir }: WorkTree): Source['git'] {
  const read = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);
  const head = read(join(gitDir, 'HEAD'))?.trim();
  const ref = head?.match(/^ref: (.+)$/)?.[1];
  if (ref === undefined) return head !== undefined && /^[0-9a-f]{40,64}$/.test(head) ? { sha: head } : {};
  const common = resolve(gitDir, read(join(gitDir, 'commondir'))?.trim() ?? '.');
  const loose = read(join(common, ref))?.trim();
  const packed = read(join(common, 'packed-refs'))
    ?.split('\n')
    .find((line) => line.endsWith(` ${ref}`));
  const sha = loose ?? packed?.split(' ')[0];
  return sha === undefined ? { ref } : { ref, sha };
}
