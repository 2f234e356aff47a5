import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from '../../runtime/images/lock.ts';
import type { Repository } from '../../src/repositories.ts';
import type { LayerCache } from '../layer-cache.ts';
import { SourceError } from '../source.ts';
import type { ObjectFormat } from './environment.ts';
import { type FetchLimits, type Fetching, fetchCommit, hasCommit } from './fetch.ts';
import { keyOf, makeCommitLayer } from './layers.ts';
import {
  discardMirror,
  MirrorDamaged,
  type MirrorPlace,
  mirrorPlace,
  readyMirror,
  tidyMirrors,
} from './mirror.ts';
import { followRefs, listRefs } from './refs.ts';
import type { GitRemote } from './remote.ts';
import { RemoteError } from './remote-error.ts';
import { createTurns } from './turns.ts';
import { extractWorkflows } from './workflows.ts';

/** What of which repository a build needs. */
export interface GitRequest {
  /** Without credentials. */
  readonly url: string;
  /** The registered repository that the credentials are of. */
  readonly repository: string | undefined;
  /** A full ref. */
  readonly ref: string | undefined;
  /** Exactly this commit; undefined: the one that the ref, or else the remote's HEAD, has now. */
  readonly sha: string | undefined;
  readonly checkout: Repository['checkout'];
  /** Opens the remote when it is needed, which for a commit that was built before it is not. Throws RemoteError. */
  readonly remote: () => Promise<GitRemote>;
  readonly signal: AbortSignal;
  /** Told what goes on when it takes longer than a second. */
  readonly progress: (line: string) => void;
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
  /** A commit's workflow files alone, as `GitTree.workflows`. Throws as `use`. */
  workflows(request: GitRequest): Promise<string>;
  /** Joins packs, and removes mirrors that were not used for the longest time, down to the cap. */
  tidy(): Promise<void>;
}

export interface GitSourcesOptions {
  readonly dataDir: string;
  readonly cache: LayerCache;
  /** Bytes of all mirrors. */
  readonly mirrorsCapBytes: number;
  readonly limits?: Partial<FetchLimits>;
}

const GiB = 1024 ** 3;

const defaultLimits: FetchLimits = {
  mirrorBytes: 8 * GiB,
  refs: 20_000,
  fetchMs: 30 * 60_000,
  silentMs: 120_000,
};

export function gitSources({ dataDir, cache, mirrorsCapBytes, limits }: GitSourcesOptions): GitSources {
  const turns = createTurns();

  /** Gives what `find` finds, or else what `make` makes of the commit once the mirror has it. */
  const obtain = async <T>(request: GitRequest, kind: Kind<T>): Promise<T> => {
    const place = mirrorPlace(dataDir, request.url, request.repository);
    const before = request.sha === undefined ? undefined : kind.find(place, request.sha);
    if (before !== undefined) return before;
    const waiting = () => request.progress(`waiting for another build that fetches ${request.url}`);
    return await turns
      .take(place.id, request.signal, () =>
        withLock(place.lock, 'exclusive', waiting, async () => {
          const work = async (format: ObjectFormat) => {
            await readyMirror(place, format);
            const sha = await fetchWanted(place, request, { ...defaultLimits, ...limits });
            return kind.find(place, sha) ?? (await kind.make(place, sha));
          };
          return await again(place, request, work);
        }),
      )
      .catch(asSourceError);
  };

  return {
    use: async (request) => {
      const layerKey = (place: MirrorPlace, sha: string) =>
        keyOf('commit', place.id, sha, request.ref, request.checkout);
      return await obtain(request, {
        find: (place, sha) => findCommit(cache, layerKey(place, sha), sha),
        make: async (place, sha) => {
          const key = layerKey(place, sha);
          await cache.discard(key);
          const { ref, url, checkout } = request;
          await makeCommitLayer({ cache, key, place, sha, ref, url, paths: checkout.paths });
          const made = findCommit(cache, key, sha);
          if (made) return made;
          throw new SourceError('the source was removed at once: the disk of this worker is too small', {
            trouble: 'unavailable',
          });
        },
      });
    },
    workflows: async (request) => {
      const layerKey = (place: MirrorPlace, sha: string) => keyOf('workflows', place.id, sha);
      return await obtain(request, {
        find: (place, sha) => cache.find(layerKey(place, sha))?.tree,
        make: async (place, sha) => {
          const layer = await cache.make(layerKey(place, sha), async (directory) => {
            await extractWorkflows(place.repository, sha, join(directory, 'tree'));
            return 0;
          });
          return layer.tree;
        },
      });
    },
    tidy: () => tidyMirrors(dataDir, mirrorsCapBytes),
  };
}

/** One way of using a commit. */
interface Kind<T> {
  find(place: MirrorPlace, sha: string): T | undefined;
  make(place: MirrorPlace, sha: string): Promise<T>;
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

/** Makes sure that the mirror has the commit. The caller holds the lock. */
async function fetchWanted(place: MirrorPlace, request: GitRequest, limits: FetchLimits): Promise<string> {
  const { repository } = place;
  const { ref, sha, signal, progress } = request;
  // Whoever builds a tag asks git for it, and the commit may have been here before the tag.
  const here = sha !== undefined && !ref?.startsWith('refs/tags/') && (await hasCommit(repository, sha));
  if (here) return sha;
  const remote = await request.remote();
  const ended = new AbortController();
  const fetching: Fetching = {
    repository,
    remote,
    limits,
    signal: AbortSignal.any([signal, ended.signal]),
    progress,
  };
  try {
    const listed = listRefs(fetching);
    listed.catch(() => {});
    const commit = await fetchCommit(fetching, request);
    await followRefs(fetching, listed);
    return commit;
  } finally {
    ended.abort();
    await remote.dispose();
  }
}

/** Does `work`, and if the mirror turns out to be damaged once again on a new one. */
async function again<T>(
  place: MirrorPlace,
  { url, sha, progress }: GitRequest,
  work: (format: ObjectFormat) => Promise<T>,
): Promise<T> {
  try {
    return await work(sha?.length === 64 ? 'sha256' : 'sha1');
  } catch (error) {
    if (!(error instanceof MirrorDamaged)) throw error;
    progress(`the mirror of ${url} is made anew: ${error.message}`);
    await discardMirror(place);
    return await work(/server sha256/.test(error.message) ? 'sha256' : 'sha1');
  }
}

function asSourceError(error: unknown): never {
  if (error instanceof RemoteError) {
    const trouble = error.kind === 'refused' || error.kind === 'moved' ? 'unusable' : 'unavailable';
    throw new SourceError(error.message, { cause: error, trouble });
  }
  if (error instanceof MirrorDamaged) {
    throw new SourceError(error.message, { cause: error, trouble: 'unavailable' });
  }
  throw error;
}
