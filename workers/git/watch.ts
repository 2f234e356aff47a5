import { SourceError } from '../source.ts';
import type { Fetching } from './fetch.ts';
import { packedBytes } from './mirror.ts';

/** Watches a running fetch from outside, for git itself knows no bounds. */
export interface FetchWatch {
  /** Aborted with a SourceError when the fetch went beyond a limit. */
  readonly signal: AbortSignal;
  /** The remote said something. */
  heard(): void;
  end(): void;
}

const everyMs = 200;
const firstWordAfterMs = 1000;
const nextWordAfterMs = 5000;
const MiB = 1024 ** 2;

/** Looks at the size of the mirror, the time, and whether the remote still speaks; says what goes on when it takes long. */
export function watchFetch({ mirror: { repository }, remote, limits, progress }: Fetching): FetchWatch {
  const stop = new AbortController();
  const begin = Date.now();
  const before = packedBytes(repository);
  let heardAt = begin;
  let sayAt = begin + firstWordAfterMs;

  const look = () => {
    const now = Date.now();
    const bytes = packedBytes(repository);
    const problem = exceeded(bytes, now - begin, now - heardAt);
    if (problem) return stop.abort(problem);
    if (now < sayAt) return;
    sayAt = now + nextWordAfterMs;
    progress(`fetching ${remote.url}: ${Math.floor((bytes - before) / MiB)} MiB received`);
  };
  const exceeded = (bytes: number, tookMs: number, silentMs: number): SourceError | undefined => {
    if (bytes > limits.mirrorBytes) {
      const most = Math.floor(limits.mirrorBytes / MiB);
      return new SourceError(
        `${remote.url} is larger than ${most} MiB, which is as much as a worker keeps of one repository; ` +
          'remove large files from its history',
      );
    }
    const trouble = 'unavailable';
    if (silentMs > limits.silentMs)
      return new SourceError(`${remote.url} was silent for ${limits.silentMs / 1000} s`, { trouble });
    if (tookMs > limits.fetchMs)
      return new SourceError(`${remote.url} was not fetched within ${limits.fetchMs / 1000} s`, { trouble });
    return undefined;
  };
  const timer = setInterval(look, everyMs);
  return {
    signal: stop.signal,
    heard: () => {
      heardAt = Date.now();
    },
    end: () => clearInterval(timer),
  };
}
