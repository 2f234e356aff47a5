import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { run } from '../../runtime/command.ts';
import type { Repository } from '../../src/repositories.ts';
import type { CachedLayer, LayerCache } from '../layer-cache.ts';
import { checkOutTree, seenIn } from './checkout.ts';
import { makeDotGit } from './dot-git.ts';
import { gitCommand } from './environment.ts';
import { keyOf, perFileBytes } from './layers.ts';
import { findPointers, type LfsPointer } from './lfs/pointer.ts';
import type { LfsStore } from './lfs/store.ts';
import { asSourceError, type MirroredCommits, type MirrorRequest } from './mirrored.ts';
import { openRemote } from './remote.ts';
import type { RemoteAccess } from './submodule-url.ts';
import { declaredIn, findSubmodules, type Submodule } from './submodules.ts';
import { type GitPath, pathIn } from './tree.ts';

/** How submodules and files of Git LFS are asked for. */
export interface AdditionsAccess {
  /** Of the repository itself. */
  readonly remote: () => Promise<RemoteAccess>;
  /**
   * Whether submodules on the repository's server get its credentials. Not where strangers name them: these may open
   * more than the repository.
   */
  readonly submodules: 'with-credentials' | 'public';
}

export interface AdditionsRequest extends MirrorRequest {
  readonly sha: string;
  readonly checkout: Repository['checkout'];
  readonly access?: AdditionsAccess;
}

/** What a commit does not have itself and only names: submodules, files of Git LFS. */
export interface GitAdditions {
  /**
   * Layers that go above those of the commit, in this order; of a commit that was used before without starting a
   * process. Throws SourceError, and the reason of the request's signal.
   */
  above(request: AdditionsRequest): Promise<CachedLayer[]>;
}

export interface GitAdditionsTools {
  readonly cache: LayerCache;
  readonly commits: MirroredCommits;
  readonly lfs: LfsStore;
}

export function gitAdditions({ cache, commits, lfs }: GitAdditionsTools): GitAdditions {
  const declared = (commit: MirrorRequest) =>
    commits.obtain(commit, {
      find: () => undefined,
      make: (place, sha) => declaredIn(place.repository, sha),
    });

  const submoduleLayer = (commit: MirrorRequest, { path }: Submodule) => {
    const keyIn = (mirror: string, sha: string) => keyOf('submodule', mirror, sha, path);
    return commits.obtain(commit, {
      find: ({ id }, sha) => cache.find(keyIn(id, sha)),
      make: ({ id, repository }, sha) =>
        cache.make(keyIn(id, sha), (directory) =>
          checkOutSubmodule({ repository, sha, url: commit.url, path, directory }),
        ),
    });
  };

  const lfsLayers = async (commit: MirrorRequest, { path, remote }: Submodule, isSeen: IsSeen) => {
    const { group, pointers } = await commits.obtain(commit, {
      find: () => undefined,
      make: async ({ id, repository }, sha) => ({ group: id, pointers: await pointersOf(repository, sha) }),
    });
    const placed = pointers
      .map((pointer) => (path === '' ? pointer : { ...pointer, path: `${path}/${pointer.path}` }))
      .filter((pointer) => isSeen(pointer.path));
    if (placed.length === 0) return [];
    const key = keyOf('lfs', group, placed);
    const { signal, progress } = commit;
    const make = async (directory: string) => {
      const tree = join(directory, 'tree');
      mkdirSync(tree);
      return await lfs.provide({
        group,
        remote: { ...remote, signal },
        pointers: placed,
        directory: tree,
        progress,
      });
    };
    return [cache.find(key) ?? (await cache.make(key, make).catch(asSourceError))];
  };

  const makeAbove = async (request: AdditionsRequest, access: AdditionsAccess): Promise<CachedLayer[]> => {
    const { checkout, sha } = request;
    const isSeen = seenIn(checkout.paths);
    const remote = await access.remote();
    const top: Submodule = { path: '', sha, remote };
    const requestOf = (commit: Submodule) => (commit === top ? request : submoduleRequest(commit, request));
    const search = {
      top,
      access: access.submodules === 'public' ? { ...remote, credentials: undefined } : remote,
      declared: (commit: Submodule) => declared(requestOf(commit)),
    };
    const found = checkout.submodules === 'none' ? [] : await findSubmodules(search);
    const submodules = found.filter(({ path }) => isSeen(path));
    const layers: CachedLayer[] = [];
    for (const submodule of submodules) layers.push(await submoduleLayer(requestOf(submodule), submodule));
    if (checkout.lfs === 'none') return layers;
    for (const commit of [top, ...submodules])
      layers.push(...(await lfsLayers(requestOf(commit), commit, isSeen)));
    return layers;
  };

  return {
    above: async (request) => {
      const { access, checkout, sha, url, repository } = request;
      if (!access || (checkout.submodules === 'none' && checkout.lfs === 'none')) return [];
      const key = keyOf('additions', url, repository ?? null, sha, checkout, access.submodules);
      const known = recall(cache, key);
      if (known) return known;
      const layers = await makeAbove(request, access);
      await remember(cache, key, layers);
      return layers;
    },
  };
}

type IsSeen = (path: GitPath) => boolean;

/** What others may read is kept apart from what only the credentials opened. */
function submoduleRequest({ path, sha, remote }: Submodule, request: MirrorRequest): MirrorRequest {
  const shown = JSON.stringify(Buffer.from(path, 'latin1').toString());
  const { signal } = request;
  return {
    url: remote.url,
    repository: remote.credentials ? request.repository : undefined,
    ref: undefined,
    sha,
    remote: () => openRemote({ ...remote, signal }),
    signal,
    progress: (line) => request.progress(`submodule ${shown}: ${line}`),
  };
}

interface SubmoduleCheckout {
  /** Bare; the caller holds its lock. */
  readonly repository: string;
  readonly sha: string;
  readonly url: string;
  readonly path: GitPath;
  readonly directory: string;
}

/** Makes `tree` in a directory with the submodule at its path, and a `.git` of its own. */
async function checkOutSubmodule({
  repository,
  sha,
  url,
  path,
  directory,
}: SubmoduleCheckout): Promise<number> {
  const place = { repository, directory: join(directory, 'checkout') };
  mkdirSync(place.directory);
  const { bytes, files } = await checkOutTree(place, `${sha}^{tree}`, []);
  const index = join(place.directory, 'index');
  const dotGit = join(place.directory, 'tree', '.git');
  const own = makeDotGit(dotGit, { repository, sha, ref: undefined, url, index, sparse: [] });
  const tree = join(directory, 'tree');
  const slash = path.lastIndexOf('/');
  mkdirSync(slash < 0 ? tree : pathIn(tree, path.slice(0, slash)), { recursive: true });
  renameSync(join(place.directory, 'tree'), pathIn(tree, path));
  writeFileSync(join(directory, 'shared'), `tree/${path}/.git/objects/pack`, 'latin1');
  return bytes + files * perFileBytes + own;
}

/** The pointers of a commit, found with an index that is gone afterwards. */
async function pointersOf(repository: string, sha: string): Promise<LfsPointer[]> {
  const directory = await mkdtemp(join(tmpdir(), 'cofferdam-index-'));
  const index = join(directory, 'index');
  try {
    await run(gitCommand(repository, ['read-tree', sha], { GIT_INDEX_FILE: index }));
    return await findPointers({ repository, tree: sha, index });
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** The layers that were found for a commit, unless one of them is gone. */
function recall(cache: LayerCache, key: string): CachedLayer[] | undefined {
  const found = cache.find(key);
  if (!found) return undefined;
  const keys: readonly string[] = JSON.parse(readFileSync(join(found.directory, 'above'), 'utf8'));
  const layers = keys.flatMap((each) => cache.find(each) ?? []);
  return layers.length === keys.length ? layers : undefined;
}

async function remember(cache: LayerCache, key: string, layers: readonly CachedLayer[]): Promise<void> {
  await cache.discard(key);
  await cache.make(key, async (directory) => {
    writeFileSync(join(directory, 'above'), JSON.stringify(layers.map((layer) => basename(layer.directory))));
    return perFileBytes;
  });
}
