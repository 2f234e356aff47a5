import { withLock } from '../../runtime/images/lock.ts';
import { SourceError } from '../source.ts';
import type { ObjectFormat } from './environment.ts';
import { type FetchLimits, type Fetching, fetchCommit, hasCommit } from './fetch.ts';
import { discardMirror, type MirrorPlace, mirrorPlace, type OpenMirror, readyMirror } from './mirror.ts';
import { MirrorDamaged } from './mirror-damaged.ts';
import { openObjects } from './objects.ts';
import { followRefs, listRefs } from './refs.ts';
import type { GitRemote } from './remote.ts';
import { RemoteError } from './remote-error.ts';
import { createTurns } from './turns.ts';

/** Which commit of which repository. */
export interface MirrorRequest {
  /** Without credentials. */
  readonly url: string;
  /** The registered repository that the credentials are of. */
  readonly repository: string | undefined;
  /** A full ref. */
  readonly ref: string | undefined;
  /** Exactly this commit; undefined: the one that the ref, or else the remote's HEAD, has now. */
  readonly sha: string | undefined;
  /** Opens the remote when it is needed, which for a commit that was built before it is not. Throws RemoteError. */
  readonly remote: () => Promise<GitRemote>;
  readonly signal: AbortSignal;
  /** Told what goes on when it takes longer than a second. */
  readonly progress: (line: string) => void;
}

/** Something that is made of a commit. */
export interface Kind<T> {
  /** Undefined: it has to be made. Starts nothing. */
  find(place: MirrorPlace, sha: string): T | undefined;
  /** With the mirror's lock held: it must not wait for another mirror. */
  make(mirror: OpenMirror, sha: string): Promise<T>;
}

/** Commits of the mirrors of this machine, one at a time for each mirror. */
export interface MirroredCommits {
  /** Gives what `find` finds, or else what `make` makes of the commit once the mirror has it. Throws SourceError. */
  obtain<T>(request: MirrorRequest, kind: Kind<T>): Promise<T>;
}

export function mirroredCommits(dataDir: string, limits: FetchLimits): MirroredCommits {
  const turns = createTurns();
  return {
    obtain: async (request, kind) => {
      const place = mirrorPlace(dataDir, request.url, request.repository);
      const before = request.sha === undefined ? undefined : kind.find(place, request.sha);
      if (before !== undefined) return before;
      const waiting = () => request.progress(`waiting for another build that fetches ${request.url}`);
      return await turns
        .take(place.id, request.signal, () =>
          withLock(place.lock, 'exclusive', waiting, async () => {
            const work = async (format: ObjectFormat) => {
              await readyMirror(place, format);
              const objects = openObjects(place.repository);
              try {
                const mirror = { ...place, objects };
                const sha = await fetchWanted(mirror, request, limits);
                return kind.find(place, sha) ?? (await kind.make(mirror, sha));
              } finally {
                objects.close();
              }
            };
            return await again(place, request, work);
          }),
        )
        .catch(asSourceError);
    },
  };
}

/** Makes sure that the mirror has the commit. The caller holds the lock. */
async function fetchWanted(mirror: OpenMirror, request: MirrorRequest, limits: FetchLimits): Promise<string> {
  const { ref, sha, signal, progress } = request;
  // Whoever builds a tag asks git for it, and the commit may have been here before the tag.
  const here = sha !== undefined && !ref?.startsWith('refs/tags/') && (await hasCommit(mirror, sha));
  if (here) return sha;
  const remote = await request.remote();
  const ended = new AbortController();
  const fetching: Fetching = {
    mirror,
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
  { url, sha, progress }: MirrorRequest,
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

/** What is wrong with a remote or a mirror, as the source's own trouble. Always throws. */
export function asSourceError(error: unknown): never {
  if (error instanceof RemoteError) {
    const trouble = error.kind === 'refused' || error.kind === 'moved' ? 'unusable' : 'unavailable';
    throw new SourceError(error.message, { cause: error, trouble });
  }
  if (error instanceof MirrorDamaged) {
    throw new SourceError(error.message, { cause: error, trouble: 'unavailable' });
  }
  throw error;
}
