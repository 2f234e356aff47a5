import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { CommandError, run, type ToolCommand } from '../runtime/command.ts';

/** What a build is made from: a directory of this machine, which is only read. */
export interface Source {
  /** Without symlinks. */
  readonly directory: string;
  /** Paths below it that the build does not see. */
  readonly hidden: readonly string[];
  readonly git: { readonly ref?: string; readonly sha?: string };
}

/**
 * The source cannot be used; the message says why and what to do. `unusable`: somebody has to change something;
 * `unavailable`: another try, later or on another machine, may do.
 */
export class SourceError extends Error {
  override readonly name = 'SourceError';
  readonly trouble: 'unusable' | 'unavailable';

  constructor(message: string, { trouble = 'unusable', ...options }: SourceErrorOptions = {}) {
    super(message, options);
    this.trouble = trouble;
  }
}

interface SourceErrorOptions extends ErrorOptions {
  readonly trouble?: SourceError['trouble'];
}

interface WorkTree {
  readonly top: string;
  /** Where the index and HEAD are. */
  readonly gitDir: string;
  /** Where branches and the exclude file are: another directory in a linked work tree (gitrepository-layout(5)). */
  readonly commonDir: string;
}

/**
 * Describes a directory as the source of a build. In a git work tree, files that git ignores are hidden, and so is
 * our own state. Throws SourceError.
 */
export async function describeSource(directory: string, dataDir: string): Promise<Source> {
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new SourceError(`${directory} is not a directory`);
  }
  try {
    // git and the mounts know real paths only; a work tree is found from there.
    const path = realpathSync(directory);
    const state = existsSync(dataDir) ? relative(path, realpathSync(dataDir)) : '';
    const own = isInside(state) ? [state] : [];
    const tree = findWorkTree(path);
    if (!tree) return { directory: path, hidden: own, git: {} };
    const git = headOf(tree);
    const repository = emptyRepository(dataDir, git.sha?.length === 64 ? 'sha256' : 'sha1');
    const hidden = outermost([...own, ...(await ignoredPaths(path, tree, repository))]);
    return { directory: path, hidden, git };
  } catch (error) {
    if (error instanceof SourceError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new SourceError(`cannot read ${directory}: ${reason}`, { cause: error });
  }
}

/** Branch and commit of the work tree that a directory lies in, as far as is known. */
export function commitOf(directory: string): Source['git'] {
  const path = realpathSync.native(directory);
  const tree = findWorkTree(path);
  return tree ? headOf(tree) : {};
}

/** Whether a relative path leads to something below where it begins. */
function isInside(path: string): boolean {
  return path !== '' && path !== '..' && !path.startsWith('../') && !isAbsolute(path);
}

/**
 * Those of the paths that are in none of the others: git lists a directory that has nothing but an ignored directory in
 * it, and that one too; a path that is hidden has no place for another one.
 */
function outermost(paths: readonly string[]): string[] {
  const known = new Set(paths);
  return [...known].filter((path) => {
    for (let above = dirname(path); above !== '.'; above = dirname(above)) {
      if (known.has(above)) return false;
    }
    return true;
  });
}

/** The work tree that a directory lies in. Found by us, not by git, so that no repository's configuration is read. */
function findWorkTree(directory: string): WorkTree | undefined {
  for (let top = directory; ; top = dirname(top)) {
    const dotGit = join(top, '.git');
    const linked = textOf(dotGit)?.match(/^gitdir: (.+)$/m)?.[1];
    const gitDir = linked === undefined ? dotGit : resolve(top, linked);
    // As for git, a directory without HEAD is no repository.
    const commonDir = resolve(gitDir, textOf(join(gitDir, 'commondir')) ?? '.');
    if (textOf(join(gitDir, 'HEAD')) !== undefined) return { top, gitDir, commonDir };
    if (top === dirname(top)) return undefined;
  }
}

/** A file's text, trimmed; undefined for what is no file: reading a FIFO would never end. */
function textOf(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false })?.isFile();
  return found ? readFileSync(file, 'utf8').trim() : undefined;
}

/**
 * What git ignores below a directory. git runs on an empty repository of ours with the index and exclude file of
 * the real one: nothing that its configuration could name (fsmonitor, hooks, filters) is run, whoever wrote it.
 */
async function ignoredPaths(directory: string, tree: WorkTree, repository: string): Promise<string[]> {
  try {
    const { stdout } = await run(listIgnored(directory, tree, repository));
    const prefix = relative(tree.top, directory);
    return stdout
      .toString()
      .split('\0')
      .map((path) => (prefix === '' ? path : relative(prefix, path)))
      .map((path) => path.replace(/\/$/, ''))
      .filter(isInside);
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

function listIgnored(directory: string, tree: WorkTree, repository: string): ToolCommand {
  const exclude = join(tree.commonDir, 'info', 'exclude');
  const index = join(tree.gitDir, 'index');
  const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
  return {
    file: 'git',
    args: [
      [`--git-dir=${repository}`, `--work-tree=${tree.top}`, 'ls-files', '-z'],
      ['--others', '--ignored', '--exclude-standard', '--directory'],
      isFile(exclude) ? [`--exclude-from=${exclude}`] : [],
      ['--', directory],
    ].flat(),
    cwd: tree.top,
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOME: '/nonexistent',
      LC_ALL: 'C.UTF-8',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_TERMINAL_PROMPT: '0',
      GIT_OPTIONAL_LOCKS: '0',
      ...(isFile(index) && { GIT_INDEX_FILE: index }),
    },
  };
}

/**
 * A repository without anything but the kind of its hashes, which decides how an index is read. Complete at once when
 * it appears: other builds may be starting.
 */
function emptyRepository(dataDir: string, hashes: 'sha1' | 'sha256'): string {
  const repository = join(dataDir, 'git', hashes);
  const head = join(repository, 'HEAD');
  if (existsSync(head)) return repository;
  for (const part of ['objects', 'refs']) mkdirSync(join(repository, part), { recursive: true });
  const files = [
    ['config', `[core]\n\trepositoryFormatVersion = 1\n[extensions]\n\tobjectFormat = ${hashes}\n`],
    ['HEAD', 'ref: refs/heads/none\n'],
  ] as const;
  for (const [name, content] of files) {
    const temporary = join(repository, `${name}.${process.pid}`);
    writeFileSync(temporary, content);
    renameSync(temporary, join(repository, name));
  }
  return repository;
}

/**
 * Branch and commit of the work tree, as far as plain files tell. Only what looks like a branch and a commit: the
 * files may be a stranger's, and the record must not show what else they lead to.
 */
function headOf({ gitDir, commonDir }: WorkTree): Source['git'] {
  const head = textOf(join(gitDir, 'HEAD')) ?? '';
  if (isCommit(head)) return { sha: head };
  const ref = head.match(/^ref: (refs\/[^\p{Cc} ~^:?*[\\]+)$/u)?.[1];
  if (ref === undefined || ref.split('/').includes('..')) return {};
  const packed = textOf(join(commonDir, 'packed-refs'))
    ?.split('\n')
    .find((line) => line.endsWith(` ${ref}`));
  const sha = textOf(join(commonDir, ref)) ?? packed?.split(' ')[0] ?? '';
  return isCommit(sha) ? { ref, sha } : { ref };
}

const isCommit = (text: string) => /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
