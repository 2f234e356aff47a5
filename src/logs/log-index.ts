import type { LogEntry } from '../logs.ts';

/** What of a log is not in its bytes; `log.json` beside the finished log. Offsets count from the log's first byte. */
export interface LogIndex {
  readonly bytes: number;
  /** From `offset` on, the bytes are of `step`. */
  readonly steps: readonly { readonly offset: number; readonly step: string }[];
  /** `bytes` that the build wrote are missing before `offset`. */
  readonly cuts: readonly { readonly offset: number; readonly bytes: number }[];
}

/** Describes consecutive entries from a byte on. `lastCut`: bytes missing after them. */
export function indexEntries(entries: readonly LogEntry[], start: number, lastCut = 0): LogIndex {
  const steps: { offset: number; step: string }[] = [];
  const cuts: { offset: number; bytes: number }[] = [];
  for (const { offset, step, cutBytes } of entries) {
    if (steps.at(-1)?.step !== step) steps.push({ offset, step });
    if (cutBytes !== undefined) cuts.push({ offset, bytes: cutBytes });
  }
  const last = entries.at(-1);
  const end = last ? last.offset + last.data.length : start;
  if (lastCut > 0) cuts.push({ offset: end, bytes: lastCut });
  return { bytes: end - start, steps, cuts };
}

/** One index of parts that follow each other. */
export function joinIndexes(parts: readonly LogIndex[]): LogIndex {
  const steps = parts.flatMap((part) => part.steps);
  return {
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
    steps: steps.filter(({ step }, i) => steps[i - 1]?.step !== step),
    cuts: parts.flatMap((part) => part.cuts),
  };
}

/** The entries that a stretch of the log is made of. */
export function entriesOf(index: LogIndex, attempt: number, offset: number, data: Buffer): LogEntry[] {
  const end = offset + data.length;
  const inside = [...index.steps, ...index.cuts]
    .map((each) => each.offset)
    .filter((at) => at > offset && at < end);
  const bounds = [...new Set([offset, ...inside, end])].sort((a, b) => a - b);
  return bounds.slice(0, -1).map((at, i) => {
    const step = index.steps.findLast((each) => each.offset <= at)?.step ?? '';
    const cut = index.cuts.find((each) => each.offset === at);
    return {
      attempt,
      offset: at,
      step,
      data: data.subarray(at - offset, (bounds[i + 1] ?? end) - offset),
      ...(cut && { cutBytes: cut.bytes }),
    };
  });
}
