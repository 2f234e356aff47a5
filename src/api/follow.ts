import type { BuildRecord } from '../build.ts';
import { createBell } from '../logs/bell.ts';
import { LogMissing, type LogPosition, LogRestarted } from '../logs.ts';
import { type FramedEntry, type LogFormat, ndjson, serverSentEvent } from './entry.ts';
import type { LogCursor } from './hub.ts';
import { publicRecord } from './record.ts';
import { isFinished, type RecordView } from './watch.ts';

/** What a follower of one build reads from. `wake` is called when there may be something new. */
export interface Sources {
  readonly log: (from: LogPosition, wake: () => void) => LogCursor;
  readonly record: (wake: () => void) => RecordView;
}

export interface FollowOptions {
  readonly format: LogFormat;
  /** A number is a byte of the attempt that runs, or will be the first. */
  readonly from: number | LogPosition;
  /** Ends there instead of with the build. */
  readonly until?: LogPosition;
  readonly signal: AbortSignal;
  readonly heartbeatMs: number;
}

/** The id of the last event: who reconnects with it has seen all. */
export const endId = 'end';

const reconnectMs = 2000;

/**
 * A build as it goes on, until it is finished or `signal` is aborted: every byte of the log once and in order, its status
 * and steps as they change, and last its record. When the platform tries a build again, the log begins anew, and its
 * events say so by their `attempt`. Silence is broken by a comment (an empty line in NDJSON), so that proxies and
 * clients can tell it from a dead connection.
 *
 * Plain text is the log alone, of one attempt: there it throws LogRestarted.
 */
export async function* followBuild(
  sources: Sources,
  { format, from, until, signal, heartbeatMs }: FollowOptions,
): AsyncGenerator<Buffer> {
  const bell = createBell();
  signal.addEventListener('abort', bell.ring);
  const view = sources.record(bell.ring);
  const cursor = logCursor(sources, { from, restarts: format !== 'plain' }, bell.ring);
  let told = typeof from === 'number' ? { attempt: until?.attempt ?? 0, offset: from } : from;
  try {
    if (format === 'event-stream') yield Buffer.from(`retry: ${reconnectMs}\n\n`);
    while (!signal.aborted) {
      bell.muffle();
      const changes = format === 'plain' ? [] : view.changes();
      if (changes.length > 0) {
        yield Buffer.from(changes.map(({ type, event }) => encode(format, type, event)).join(''));
      }
      const record = view.record();
      if (until && (record.attempt > until.attempt || isReached(until, told))) return;
      const entry = cursor.next(record);
      if (entry instanceof LogMissing) {
        if (format === 'plain') throw entry;
        yield Buffer.from(encode(format, 'gap', { detail: entry.message }));
        if (until) return;
        continue;
      }
      if (entry === 'end' && isFinished(record)) {
        if (format !== 'plain')
          yield Buffer.from(encode(format, 'end', { record: publicRecord(record) }, endId));
        return;
      }
      if (entry !== 'end' && entry !== 'wait') {
        yield entry.frame(format);
        told = { attempt: entry.attempt, offset: entry.end };
        continue;
      }
      // The log may end before its record is here.
      if (entry === 'end') view.refresh();
      const silentAt = performance.now() + heartbeatMs - timerInaccuracyMs;
      await bell.heard(heartbeatMs);
      if (performance.now() < silentAt) continue;
      // A change may have been missed.
      view.refresh();
      if (format !== 'plain') yield breaks[format];
    }
  } finally {
    signal.removeEventListener('abort', bell.ring);
    cursor.close();
    view.close();
    bell.ring();
  }
}

function isReached(place: LogPosition, { attempt, offset }: LogPosition): boolean {
  return attempt > place.attempt || (attempt === place.attempt && offset >= place.offset);
}

const timerInaccuracyMs = 2;
const breaks = { 'event-stream': Buffer.from(': still here\n\n'), ndjson: Buffer.from('\n') };

/** The log of the attempt that runs, and with `restarts` of the next ones when the platform tries again. */
function logCursor(
  sources: Sources,
  { from, restarts }: { readonly from: number | LogPosition; readonly restarts: boolean },
  wake: () => void,
) {
  let cursor = typeof from === 'number' ? undefined : sources.log(from, wake);
  let missing: LogMissing | undefined;
  return {
    /** After LogMissing, which comes as a value and once, `end`. */
    next: (record: BuildRecord): FramedEntry | LogMissing | 'wait' | 'end' => {
      const { attempt } = record;
      if (missing) return 'end';
      if (!cursor && attempt === 0) return isFinished(record) ? 'end' : 'wait';
      cursor ??= sources.log({ attempt, offset: Number(from) }, wake);
      try {
        return cursor.next();
      } catch (error) {
        if (error instanceof LogMissing) return (missing = error);
        if (!restarts || !(error instanceof LogRestarted)) throw error;
        cursor.close();
        cursor = sources.log({ attempt: error.attempt, offset: 0 }, wake);
        return cursor.next();
      }
    },
    close: () => cursor?.close(),
  };
}

function encode(format: LogFormat, type: string, event: object, id?: string): string {
  return format === 'ndjson' ? ndjson(type, event) : serverSentEvent(type, event, id);
}
