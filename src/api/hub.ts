import type { LogEntry, LogPosition, LogReader } from '../logs.ts';
import { framedEntry, type FramedEntry } from './entry.ts';

/** What followers of one process may hold in memory together. */
export interface HubLimits {
  /** Bytes of a segment; followers that are this near to each other share one read. */
  readonly segmentBytes: number;
  /** Bytes of log kept for followers that come by later. */
  readonly keptBytes: number;
  /** Reads that are kept open between two segments. */
  readonly openReads: number;
}

const defaultHubLimits: HubLimits = {
  segmentBytes: 64 * 1024,
  keptBytes: 16 * 1024 ** 2,
  openReads: 32,
};

/** One follower's place in a log. */
export interface LogCursor {
  /**
   * The next entry; `end` after the last one of a finished build; `wait`: nothing yet, `wake` will be called.
   * An entry is shared by all followers of the build, frames included. Throws what reading the log threw.
   */
  next(): FramedEntry | 'wait' | 'end';
  close(): void;
}

export interface LogHub {
  /** A cursor from a byte on. `wake` is called when something may have come since `next` said `wait`. */
  follow(id: string, from: LogPosition, wake: () => void): LogCursor;
}

/** A stretch of a log on a fixed grid, filled from the front, read once for all who come by. */
interface Segment {
  readonly start: number;
  readonly entries: FramedEntry[];
  end: number;
  state: 'filling' | 'full' | 'last';
  loading: boolean;
  failure?: { readonly error: unknown };
  readonly waiting: Set<() => void>;
}

interface Read {
  readonly entries: AsyncIterator<LogEntry>;
  readonly abort: AbortController;
}

/** An attempt that somebody follows. */
interface Followed {
  readonly id: string;
  readonly attempt: number;
  followers: number;
  readonly segments: Map<number, Segment>;
  /** By the byte that they will bring next. */
  readonly reads: Map<number, Read>;
}

/**
 * Lets any number of followers read logs with memory that does not depend on their number. Everybody goes at their own
 * speed: a log is kept as segments of a fixed grid, least recently used ones go first, and whoever needs one that is
 * gone has it read again, once for all who wait for it. A follower that does not read holds one entry and nothing else.
 */
export function createLogHub(reader: LogReader, limits: HubLimits = defaultHubLimits): LogHub {
  /** By id and attempt. */
  const builds = new Map<string, Followed>();
  /** Full segments of all builds, least recently used first. */
  const kept = new Map<Segment, Followed>();
  /** Idle reads of all builds, likewise. */
  const idle = new Map<Read, () => void>();
  /** Reads that something is awaited from. */
  const busy = new Map<Read, Followed>();
  let keptBytes = 0;

  const segmentAt = (build: Followed, position: number): Segment => {
    const start = position - (position % limits.segmentBytes);
    let segment = build.segments.get(start);
    if (!segment) {
      segment = { start, entries: [], end: start, state: 'filling', loading: false, waiting: new Set() };
      build.segments.set(start, segment);
    }
    if (kept.delete(segment)) kept.set(segment, build);
    return segment;
  };

  const forget = (build: Followed, segment: Segment) => {
    if (build.segments.get(segment.start) === segment) build.segments.delete(segment.start);
    if (kept.delete(segment)) keptBytes -= segment.end - segment.start;
  };

  const append = (build: Followed, segment: Segment, entry: FramedEntry) => {
    segment.entries.push(entry);
    segment.end = entry.end;
    if (segment.end < segment.start + limits.segmentBytes) return;
    segment.state = 'full';
    kept.set(segment, build);
    keptBytes += segment.end - segment.start;
    for (const [oldest, owner] of kept) {
      if (keptBytes <= limits.keptBytes) break;
      forget(owner, oldest);
    }
  };

  /** Puts what was read into the segments it belongs to; those that have it already keep what they have. */
  const spread = (build: Followed, { offset, data, cutBytes, ...rest }: LogEntry) => {
    for (let at = offset; at < offset + data.length; ) {
      const segment = segmentAt(build, at);
      const end = Math.min(segment.start + limits.segmentBytes, offset + data.length);
      if (segment.end === at) {
        const part = { ...rest, offset: at, data: data.subarray(at - offset, end - offset) };
        append(
          build,
          segment,
          framedEntry(at === offset && cutBytes !== undefined ? { ...part, cutBytes } : part),
        );
      }
      wakeAll(segment);
      at = end;
    }
  };

  const take = (build: Followed, position: number): Read => {
    const open = build.reads.get(position);
    if (open) {
      build.reads.delete(position);
      idle.delete(open);
      return open;
    }
    const abort = new AbortController();
    const log = reader.read(build.id, { attempt: build.attempt, offset: position }, abort.signal);
    return { entries: log[Symbol.asyncIterator](), abort };
  };

  const park = (build: Followed, position: number, read: Read) => {
    if (build.followers === 0 || build.reads.has(position)) return endRead(read);
    build.reads.set(position, read);
    idle.set(read, () => build.reads.delete(position));
    for (const [oldest, remove] of idle) {
      if (idle.size <= limits.openReads) break;
      idle.delete(oldest);
      remove();
      endRead(oldest);
    }
  };

  const load = async (build: Followed, segment: Segment): Promise<void> => {
    segment.loading = true;
    const position = segment.end;
    const read = take(build, position);
    busy.set(read, build);
    try {
      const { done, value } = await read.entries.next();
      if (done) segment.state = 'last';
      else {
        spread(build, value);
        park(build, value.offset + value.data.length, read);
      }
    } catch (error) {
      segment.failure = { error };
      forget(build, segment);
      endRead(read);
    } finally {
      busy.delete(read);
      segment.loading = false;
      wakeAll(segment);
    }
  };

  const leave = (build: Followed) => {
    build.followers--;
    if (build.followers > 0) return;
    builds.delete(`${build.id} ${build.attempt}`);
    for (const segment of build.segments.values()) forget(build, segment);
    for (const read of build.reads.values()) {
      idle.delete(read);
      endRead(read);
    }
    for (const [read, owner] of busy) if (owner === build) endRead(read);
  };

  return {
    follow: (id, from, wake) => {
      const key = `${id} ${from.attempt}`;
      const fresh = { id, attempt: from.attempt, followers: 0, segments: new Map(), reads: new Map() };
      const build: Followed = builds.get(key) ?? fresh;
      builds.set(key, build);
      build.followers++;
      let position = from.offset;
      let waitsIn: Segment | undefined;
      let open = true;
      return {
        next: () => {
          waitsIn?.waiting.delete(wake);
          if (waitsIn?.failure) throw waitsIn.failure.error;
          waitsIn = undefined;
          const segment = segmentAt(build, position);
          const found = entryAt(segment.entries, position);
          if (found) {
            const entry = found.offset === position ? found : found.from(position);
            position = entry.end;
            return entry;
          }
          if (segment.state === 'last') return 'end';
          waitsIn = segment;
          segment.waiting.add(wake);
          if (!segment.loading) void load(build, segment);
          return 'wait';
        },
        close: () => {
          if (!open) return;
          open = false;
          waitsIn?.waiting.delete(wake);
          leave(build);
        },
      };
    },
  };
}

/** The entry that holds a byte; entries have no gaps between them. */
function entryAt(entries: readonly FramedEntry[], position: number): FramedEntry | undefined {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle]?.end ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return entries[low];
}

function wakeAll({ waiting }: Segment): void {
  const woken = [...waiting];
  waiting.clear();
  for (const wake of woken) wake();
}

function endRead({ entries, abort }: Read): void {
  abort.abort();
  // A generator that waits ends when its signal says so; its errors have nobody to go to.
  entries.return?.().catch(() => {});
}
