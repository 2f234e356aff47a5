import { CommandError, run } from '../../runtime/command.ts';
import { GitUrlError } from '../../src/git/url.ts';
import { layerLimits } from '../../runtime/images/layer-limits.ts';
import { SourceError } from '../source.ts';
import { gitCommand } from './environment.ts';
import { type RemoteAccess, submoduleRemote } from './submodule-url.ts';
import { checkPath, type GitPath } from './tree.ts';

/** A commit that belongs at a path of another. */
export interface Submodule {
  /** From the top of the workspace. */
  readonly path: GitPath;
  readonly sha: string;
  readonly remote: RemoteAccess;
}

/** Levels, and submodules of all levels together. */
const limits = { depth: 5, count: 100, modulesFileBytes: 256 * 1024 };

export interface SubmoduleSearch {
  /** The commit whose submodules are wanted; its path is empty. */
  readonly top: Submodule;
  /** What submodules on the server of `top` are asked with. */
  readonly access: RemoteAccess;
  /** Brings a commit here, where it is not yet, and tells what declaredIn() finds in it. */
  readonly declared: (commit: Submodule) => Promise<readonly DeclaredSubmodule[]>;
}

/** All submodules of a commit and theirs, parents before children. Throws SourceError, and what `declared` throws. */
export async function findSubmodules({ top, access, declared }: SubmoduleSearch): Promise<Submodule[]> {
  const found: Submodule[] = [];
  const visit = async (parent: Submodule, depth: number) => {
    for (const { path, sha, url } of await declared(parent)) {
      const place = parent.path === '' ? path : `${parent.path}/${path}`;
      const fail = (reason: string, cause?: Error) =>
        new SourceError(`the submodule at ${shown(place)} ${reason}`, { cause });
      if (depth === limits.depth) throw fail(`is in more than ${limits.depth} others`);
      if (found.length === limits.count) throw fail(`is one too many: ${limits.count} are allowed`);
      const submodule = { path: place, sha, remote: remoteOf(url, parent, fail) };
      found.push(submodule);
      await visit(submodule, depth + 1);
    }
  };
  const remoteOf = (url: string, parent: Submodule, fail: (reason: string, cause: Error) => SourceError) => {
    try {
      return submoduleRemote(url, parent.remote.url, access);
    } catch (error) {
      if (error instanceof GitUrlError) throw fail(`has a URL that is not used: ${error.message}`, error);
      throw error;
    }
  };
  await visit(top, 0);
  return found;
}

/** As a commit names it. */
export interface DeclaredSubmodule {
  readonly path: GitPath;
  readonly sha: string;
  /** As written in .gitmodules; maybe relative. */
  readonly url: string;
}

/**
 * The submodules that a commit itself names, by path. Read from the objects of a bare repository alone: `git submodule`
 * would use settings that the commit brings along. Throws SourceError.
 */
export async function declaredIn(repository: string, commit: string): Promise<DeclaredSubmodule[]> {
  const entries = await listTree(repository, commit);
  const links = entries.filter(({ mode }) => mode === '160000');
  if (links.length === 0) return [];
  const paths = new Map(entries.map(({ path, mode }) => [path, mode]));
  const modules = entries.find(({ path }) => path === '.gitmodules');
  const byPath = await modulesByPath(repository, modules);
  return links.flatMap(({ path, sha }) => {
    const reason = pathFlaw(path, paths);
    if (reason !== undefined) throw new SourceError(`the submodule at ${shown(path)} ${reason}`);
    const settings = byPath.get(path);
    // As for git, that is the way to leave one out.
    if (settings?.get('update') === 'none') return [];
    const url = settings?.get('url');
    if (url === undefined) {
      throw new SourceError(`the submodule at ${shown(path)} has no url in .gitmodules`);
    }
    return [{ path, sha, url }];
  });
}

interface TreeEntry {
  readonly mode: string;
  readonly sha: string;
  readonly path: GitPath;
}

async function listTree(repository: string, commit: string): Promise<TreeEntry[]> {
  const args = ['ls-tree', '-r', '-z', '--full-tree', commit];
  const { stdout } = await run(gitCommand(repository, args));
  return stdout
    .toString('latin1')
    .split('\0')
    .slice(0, -1)
    .map((line) => {
      const [, mode = '', sha = '', path = ''] = /^(\d+) \w+ (\w+)\t([^]*)$/.exec(line) ?? [];
      return { mode, sha, path };
    });
}

/** The settings of .gitmodules, by the path of the submodule that they are for. */
async function modulesByPath(
  repository: string,
  file: TreeEntry | undefined,
): Promise<Map<string, Map<string, string>>> {
  if (!file) return new Map();
  if (!file.mode.startsWith('100')) throw new SourceError('.gitmodules is no plain file');
  const byName = Map.groupBy(await readModules(repository, file.sha), ({ name }) => name);
  const byPath = new Map<string, Map<string, string>>();
  for (const [name, settings] of byName) {
    if (name.split(/[/\\]/).includes('..')) throw new SourceError(`.gitmodules has the name ${shown(name)}`);
    const values = new Map(settings.map(({ key, value }) => [key, value]));
    if (values.size < settings.length)
      throw new SourceError(`.gitmodules sets something twice for ${shown(name)}`);
    const path = values.get('path');
    if (path === undefined) continue;
    if (byPath.has(path)) throw new SourceError(`.gitmodules has the path ${shown(path)} twice`);
    byPath.set(path, values);
  }
  return byPath;
}

interface Setting {
  readonly name: string;
  readonly key: string;
  readonly value: string;
}

async function readModules(repository: string, blob: string): Promise<Setting[]> {
  try {
    const { stdout: size } = await run(gitCommand(repository, ['cat-file', '-s', blob]));
    if (Number(size) > limits.modulesFileBytes) throw new SourceError('.gitmodules is larger than 256 KiB');
    const args = ['config', '--no-includes', `--blob=${blob}`, '--null', '--list'];
    const { stdout } = await run(gitCommand(repository, args));
    return stdout
      .toString('latin1')
      .split('\0')
      .flatMap((entry) => {
        const [, name, key, value] = /^submodule\.([^]*)\.([\w-]+)\n([^]*)$/.exec(entry) ?? [];
        const known = name !== undefined && key !== undefined && value !== undefined;
        return known ? [{ name, key, value }] : [];
      });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new SourceError(`.gitmodules cannot be read: ${error.message}`, { cause: error });
  }
}

/** Why a path is no place for another repository; git refuses the same when it checks objects (git-fsck(1)). */
function pathFlaw(path: GitPath, entries: ReadonlyMap<GitPath, string>): string | undefined {
  checkPath(path, layerLimits);
  if (path.startsWith('-')) return 'begins with a dash';
  if (/[^ -~\x80-\xff]/.test(path)) return 'has a control character';
  const parts = path.split('/');
  const parents = parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('/'));
  const parent = parents.find((each) => entries.has(each));
  return parent === undefined ? undefined : `is below ${shown(parent)}, which is no directory`;
}

const shown = (bytes: string) => JSON.stringify(Buffer.from(bytes, 'latin1').toString());
