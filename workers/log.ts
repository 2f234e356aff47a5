/**
 * The log of a build, with a cap: the head passes as it comes, then only the last part is kept, and what lies
 * between is counted. Memory stays flat whatever the build writes.
 */
export interface BuildLog {
  /** Takes output of what the label names (src/logs/label.ts). A returned promise is the reader's back-pressure. */
  write(label: string, chunk: Buffer): void | Promise<void>;
  /** Passes on the mark of the cut and the tail, if there was a cut. */
  finish(): Promise<void>;
  readonly totals: LogTotals;
}

export interface LogTotals {
  /** All that the build wrote. */
  readonly bytes: number;
  readonly truncated: boolean;
  /** How much lies between head and tail. */
  readonly cutBytes: number;
}

/** Receives the log in order. */
export interface LogReader {
  chunk(label: string, chunk: Buffer): void | Promise<void>;
  /** The head ends here: the rest is shown when the build ends, as far as it fits. */
  cutBegins(): void | Promise<void>;
  /** The tail follows; so many bytes lie between. */
  cutEnds(cutBytes: number): void | Promise<void>;
}

/** A quarter of the cap, at most this much, is kept for the tail. */
const maxTailBytes = 16 * 1024 * 1024;

/** @param capBytes most bytes that are passed on, head and tail together */
export function createBuildLog(capBytes: number, reader: LogReader): BuildLog {
  const tailBytes = Math.min(Math.floor(capBytes / 4), maxTailBytes);
  const headBytes = capBytes - tailBytes;
  let bytes = 0;
  let tail: Tail | undefined;

  return {
    write: (step, chunk) => {
      const room = Math.max(0, headBytes - bytes);
      bytes += chunk.length;
      if (chunk.length <= room) return reader.chunk(step, chunk);
      let began: ReturnType<LogReader['cutBegins']> = undefined;
      const first = room > 0 ? reader.chunk(step, chunk.subarray(0, room)) : undefined;
      if (!tail) {
        tail = createTail(tailBytes);
        began = reader.cutBegins();
      }
      tail.write(step, chunk.subarray(room));
      if (first || began) return Promise.all([first, began]).then(() => {});
      return undefined;
    },
    finish: async () => {
      if (!tail) return;
      const cutBytes = bytes - headBytes - tail.length;
      if (cutBytes > 0) await reader.cutEnds(cutBytes);
      for (const [step, chunk] of tail.chunks()) await reader.chunk(step, chunk);
    },
    get totals() {
      const cutBytes = tail ? bytes - headBytes - tail.length : 0;
      return { bytes, truncated: cutBytes > 0, cutBytes };
    },
  };
}

interface Tail {
  readonly length: number;
  write(step: string, chunk: Buffer): void;
  chunks(): Iterable<readonly [step: string, chunk: Buffer]>;
}

/** The last `capacity` bytes, in a ring, with the places where another step begins. */
function createTail(capacity: number): Tail {
  const ring = Buffer.allocUnsafe(capacity);
  let total = 0;
  let starts: { readonly at: number; readonly step: string }[] = [];
  const first = () => Math.max(0, total - capacity);

  const slice = function* (from: number, to: number): Generator<Buffer> {
    for (let at = from; at < to; ) {
      const offset = at % capacity;
      const length = Math.min(to - at, capacity - offset);
      yield Buffer.from(ring.subarray(offset, offset + length));
      at += length;
    }
  };

  return {
    get length() {
      return total - first();
    },
    write: (step, chunk) => {
      if (starts.at(-1)?.step !== step) starts.push({ at: total, step });
      const kept = chunk.subarray(Math.max(0, chunk.length - capacity));
      total += chunk.length - kept.length;
      for (let done = 0; done < kept.length; ) {
        const offset = total % capacity;
        const length = Math.min(kept.length - done, capacity - offset);
        kept.copy(ring, offset, done, done + length);
        done += length;
        total += length;
      }
      // Alternating writers must not grow the list without bound.
      if (starts.length > 1024) starts = starts.filter((_, i) => (starts[i + 1]?.at ?? total) > first());
    },
    chunks: function* () {
      for (const [i, { at, step }] of starts.entries()) {
        const from = Math.max(at, first());
        for (const chunk of slice(from, starts[i + 1]?.at ?? total)) yield [step, chunk] as const;
      }
    },
  };
}
