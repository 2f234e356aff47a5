import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Repository } from '../../src/repositories.ts';
import type { LayerCache } from '../layer-cache.ts';
import { SourceError } from '../source.ts';
import { type AdditionsAccess, gitAdditions } from './additions.ts';
import { changedFiles, type Since } from './changed.ts';
import type { FetchLimits } from './fetch.ts';
import { keyOf, makeCommitLayer } from './layers.ts';
import { lfsStore } from './lfs/store.ts';
import { type MirrorPlace, tidyMirrors } from './mirror.ts';
import { type MirrorRequest, mirroredCommits } from './mirrored.ts';
import { extractWorkflows } from './workflows.ts';

/** What of which repository a build needs. */
export interface GitRequest extends MirrorRequest {
  readonly checkout: Repository['checkout'];
  /** How submodules and files of Git LFS are asked for; needed where `checkout` wants them. */
  readonly access?: AdditionsAccess;
}

/** A commit as builds read it. */
export interface GitTree {
  /** Read-only layers, bottom first. */
  readonly directories: readonly string[];
  /** The caller's sandbox holds them shared. */
  readonly locks: readonly string[];
  readonly sha: string;
  /** A directory with the commit's workflow files only, at their paths; no symlink in it leads anywhere. */
  readonly workflows: string;
}

/** Commits of git repositories as read-only layers, made once on this machine. */
export interface GitSources {
  /**
   * A commit's layers. Of a commit that was used before nothing is fetched, and no process is started. Throws SourceError,
   * and the reason of the request's signal.
   */
  use(request: GitRequest): Promise<GitTree>;
  /** The files of a commit that changed since another; undefined: nobody can tell. Throws as `use`. */
  changed(request: GitRequest, since: Since): Promise<readonly string[] | undefined>;
  /** A commit's workflow files alone, as `GitTree.workflows`. Throws as `use`. */
  workflows(request: GitRequest): Promise<string>;
  /** Joins packs, and removes mirrors and files that were not used for the longest time, down to the caps. */
  tidy(): Promise<void>;
}

export interface GitSourcesOptions {
  readonly dataDir: string;
  readonly cache: LayerCache;
  /** Bytes of all mirrors. */
  readonly mirrorsCapBytes: number;
  /** Bytes of all files of Git LFS. */
  readonly lfsCapBytes?: number;
  readonly limits?: Partial<FetchLimits>;
}

const GiB = 1024 ** 3;

const defaultLimits: FetchLimits = {
  mirrorBytes: 8 * GiB,
  refs: 20_000,
  fetchMs: 30 * 60_000,
  silentMs: 120_000,
};

/** Sources out of mirrors below `dataDir`, which all processes of this machine share. */
export function gitSources(options: GitSourcesOptions): GitSources {
  const { dataDir, cache, mirrorsCapBytes, lfsCapBytes = 20 * GiB } = options;
  const commits = mirroredCommits(dataDir, { ...defaultLimits, ...options.limits });
  const lfs = lfsStore({ dataDir, capBytes: lfsCapBytes });
  const additions = gitAdditions({ cache, commits, lfs });

  return {
    use: async (request) => {
      const layerKey = (place: MirrorPlace, sha: string) =>
        keyOf('commit', place.id, sha, request.ref, request.checkout);
      const tree = await commits.obtain(request, {
        find: (place, sha) => findCommit(cache, layerKey(place, sha), sha),
        make: async (mirror, sha) => {
          const key = layerKey(mirror, sha);
          await cache.discard(key);
          const { ref, url, checkout } = request;
          await makeCommitLayer({ cache, key, mirror, sha, ref, url, paths: checkout.paths });
          const made = findCommit(cache, key, sha);
          if (made) return made;
          throw new SourceError('the source was removed at once: the disk of this worker is too small', {
            trouble: 'unavailable',
          });
        },
      });
      const above = await additions.above({ ...request, sha: tree.sha });
      if (above.length === 0) return tree;
      return {
        ...tree,
        directories: [...tree.directories, ...above.map((layer) => layer.tree)],
        locks: [...tree.locks, ...above.map(({ lock }) => lock)],
      };
    },
    changed: async (request, since) => {
      const { files } = await commits.obtain(request, {
        find: () => undefined,
        make: async ({ repository }, sha) => ({ files: await changedFiles(repository, since, sha) }),
      });
      return files;
    },
    workflows: async (request) => {
      const layerKey = (place: MirrorPlace, sha: string) => keyOf('workflows', place.id, sha);
      return await commits.obtain(request, {
        find: (place, sha) => cache.find(layerKey(place, sha))?.tree,
        make: async (mirror, sha) => {
          const layer = await cache.make(layerKey(mirror, sha), async (directory) => {
            await extractWorkflows(mirror.objects, sha, join(directory, 'tree'));
            return 0;
          });
          return layer.tree;
        },
      });
    },
    tidy: async () => {
      await tidyMirrors(dataDir, mirrorsCapBytes);
      await lfs.trim();
    },
  };
}

function findCommit(cache: LayerCache, key: string, sha: string): GitTree | undefined {
  const layer = cache.find(key);
  const below = layer && cache.find(readFileSync(join(layer.directory, 'below'), 'utf8'));
  if (!layer || !below) return undefined;
  const stack = [below, layer];
  return {
    directories: stack.map(({ tree }) => tree),
    locks: stack.map(({ lock }) => lock),
    sha,
    workflows: join(layer.directory, 'workflows'),
  };
}
