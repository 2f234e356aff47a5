import { CommandError, run } from '../../runtime/command.ts';
import { SourceError } from '../source.ts';
import { gitCommand, openRepository } from './environment.ts';
import type { OpenMirror } from './mirror.ts';
import { MirrorDamaged } from './mirror-damaged.ts';
import type { GitRemote } from './remote.ts';
import { watchFetch } from './watch.ts';

export interface FetchLimits {
  /** Of the whole mirror. */
  readonly mirrorBytes: number;
  /** Branches and tags together; where there are more, only what is built is fetched. */
  readonly refs: number;
  /** One fetch in all. */
  readonly fetchMs: number;
  /** Without a word from the remote. */
  readonly silentMs: number;
}

/** What one fetch is done with. */
export interface Fetching {
  /** Its lock is held. */
  readonly mirror: OpenMirror;
  readonly remote: GitRemote;
  readonly limits: FetchLimits;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

/** What is to be built: exactly `sha`, or else what `ref` is now, or else the remote's own default. */
export interface Wanted {
  readonly ref?: string | undefined;
  readonly sha?: string | undefined;
}

/** Keeps what was fetched last, so that the next fetch of a pull request transfers only what is new. */
const fetched = 'refs/cofferdam/fetched';

/**
 * Fetches one commit with its history and tells its id. A server need not give out a bare commit: then its ref is
 * fetched, and the commit must be in it. Throws SourceError, RemoteError, and MirrorDamaged.
 */
export async function fetchCommit(fetching: Fetching, wanted: Wanted): Promise<string> {
  const { mirror, remote } = fetching;
  const { ref, sha } = wanted;
  try {
    await fetchAs(fetching, sha ?? ref ?? 'HEAD', ref);
  } catch (error) {
    if (sha === undefined || ref === undefined || !isMissing(error)) throw missing(error, remote, wanted);
    await fetchAs(fetching, ref, ref).catch((again: unknown) => {
      throw missing(again, remote, wanted);
    });
    if (!(await hasCommit(mirror, sha)))
      throw new SourceError(`${remote.url} does not have the commit ${sha} in ${ref}${goneRemedy}`);
  }
  if (sha !== undefined) return sha;
  const commit = await mirror.objects.info(`${fetched}^{commit}`);
  if (commit) return commit.id;
  throw new SourceError(`${remote.url} has no commit at ${ref}; build a branch or a tag`);
}

/** The mirror's branch moves along, which after a push is where the remote's is now; else see refs.ts. */
async function fetchAs(fetching: Fetching, what: string, ref: string | undefined): Promise<void> {
  const alone = `+${what}:${fetched}`;
  if (!ref?.startsWith('refs/heads/')) return await fetchRefs(fetching, [alone]);
  try {
    await fetchRefs(fetching, [alone, `+${what}:${ref}`]);
  } catch (error) {
    // A branch `a` that is gone from the remote is in the way of `a/b`.
    const told =
      error instanceof MirrorDamaged && error.cause instanceof CommandError ? error.cause.stderr : '';
    if (!/lock ref|local ref/.test(told)) throw error;
    await fetchRefs(fetching, [alone]);
  }
}

/** Whether the mirror has a commit with all of its history (as git's own check_connected after a fetch). */
export async function hasCommit({ repository, objects }: OpenMirror, sha: string): Promise<boolean> {
  if ((await objects.info(sha))?.type !== 'commit') return false;
  const args = ['rev-list', '--objects', '--quiet', sha, '--not', '--all'];
  return await openRepository(repository)
    .raw(args)
    .then(
      () => true,
      () => false,
    );
}

/**
 * Runs `git fetch` within the limits. Throws CommandError when the remote has not what was asked for, and SourceError,
 * RemoteError, MirrorDamaged.
 */
export async function fetchRefs(
  fetching: Fetching,
  refspecs: readonly string[],
  options: readonly string[] = [],
): Promise<void> {
  const { mirror, remote, signal } = fetching;
  const config = remote.config.flatMap((setting) => ['-c', setting]);
  const fetch = ['fetch', '--progress', '--no-tags', '--no-write-fetch-head', '--force', ...options];
  const command = gitCommand(
    mirror.repository,
    [...config, ...fetch, '--', remote.url, ...refspecs],
    remote.env,
  );
  const watch = watchFetch(fetching);
  try {
    await run(command, {
      signal: AbortSignal.any([signal, watch.signal]),
      onStderrLine: () => watch.heard(),
    });
  } catch (error) {
    signal.throwIfAborted();
    watch.signal.throwIfAborted();
    if (!(error instanceof CommandError) || isMissing(error)) throw error;
    throw (await remote.explain(error)) ?? notTheRemote(error, remote);
  } finally {
    watch.end();
  }
}

function isMissing(error: unknown): error is CommandError {
  return (
    error instanceof CommandError &&
    /couldn't find remote ref|not our ref|unadvertised object|no such ref/i.test(error.stderr)
  );
}

function missing(error: unknown, { url }: GitRemote, { ref, sha }: Wanted): unknown {
  if (!isMissing(error)) return error;
  const cause = { cause: error };
  if (ref === undefined && sha === undefined) return new SourceError(`${url} has no commits yet`, cause);
  if (/couldn't find remote ref/i.test(error.stderr) && ref !== undefined) {
    return new SourceError(`${url} has no ${ref}: it was never pushed, or was removed`, cause);
  }
  if (sha !== undefined) return new SourceError(`${url} does not have the commit ${sha}${goneRemedy}`, cause);
  return new SourceError(`${url} does not give out what it says it has: ${error.message}`, {
    ...cause,
    trouble: 'unavailable',
  });
}

const goneRemedy = ': it was never pushed, or was replaced by a forced push; build the newest commit instead';

/** Nothing is wrong with the connection: with the objects, with this machine, or else with the mirror. */
function notTheRemote(error: CommandError, { url }: GitRemote): Error {
  const cause = { cause: error };
  const object = /object [\da-f]+: \w+: .*|fsck error.*/.exec(error.stderr)?.[0];
  if (object !== undefined) {
    return new SourceError(`${url} has a damaged or hostile object, which is not taken: ${object}`, cause);
  }
  if (/No space left on device|Disk quota exceeded|Cannot allocate|Out of memory/i.test(error.stderr)) {
    return new SourceError(`this worker has no room for ${url}: ${error.message}`, {
      ...cause,
      trouble: 'unavailable',
    });
  }
  return new MirrorDamaged(`${url} cannot be fetched: ${error.message}`, cause);
}
