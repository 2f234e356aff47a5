import type { LogEntry } from '../logs.ts';

/** Output as it came in. */
export interface Piece {
  readonly step: string;
  readonly data: Buffer;
  readonly cutBytes: number | undefined;
}

/** Joins neighbours of the same step to entries of at most `maxBytes`. */
export function joinPieces(
  attempt: number,
  offset: number,
  pieces: readonly Piece[],
  maxBytes: number,
): LogEntry[] {
  const entries: LogEntry[] = [];
  let at = offset;
  let joined: Buffer[] = [];
  let size = 0;
  let first: Piece | undefined;

  const finish = () => {
    if (!first) return;
    const { step, cutBytes } = first;
    const data = joined.length === 1 && joined[0] ? joined[0] : Buffer.concat(joined, size);
    entries.push({ attempt, offset: at, step, data, ...(cutBytes !== undefined && { cutBytes }) });
    at += size;
    joined = [];
    size = 0;
    first = undefined;
  };

  for (const piece of pieces) {
    if (first && (first.step !== piece.step || piece.cutBytes !== undefined)) finish();
    first ??= piece;
    for (let done = 0; done < piece.data.length; ) {
      const part = piece.data.subarray(done, done + maxBytes - size);
      joined.push(part);
      size += part.length;
      done += part.length;
      if (size < maxBytes) continue;
      finish();
      if (done < piece.data.length) first = { ...piece, cutBytes: undefined };
    }
  }
  finish();
  return entries;
}

/** The part of consecutive entries between two bytes. */
export function sliceEntries(entries: readonly LogEntry[], from: number, to: number): LogEntry[] {
  const slice: LogEntry[] = [];
  for (const entry of entries) {
    const end = entry.offset + entry.data.length;
    if (end <= from) continue;
    if (entry.offset >= to) break;
    if (entry.offset >= from && end <= to) slice.push(entry);
    else {
      const { cutBytes, ...rest } = entry;
      const offset = Math.max(entry.offset, from);
      const data = entry.data.subarray(offset - entry.offset, to - entry.offset);
      const atStart = offset === entry.offset && cutBytes !== undefined;
      slice.push({ ...rest, offset, data, ...(atStart && { cutBytes }) });
    }
  }
  return slice;
}

/** Moves entries up to where the one before ends, and says in them how much is missing there. */
export function closeGaps(entries: readonly LogEntry[], start: number): LogEntry[] {
  let next = start;
  let missing = 0;
  return entries.map((entry) => {
    const gap = entry.offset - missing - next;
    missing += gap;
    const cutBytes = (entry.cutBytes ?? 0) + gap;
    const moved = { ...entry, offset: next, ...(cutBytes > 0 && { cutBytes }) };
    next += entry.data.length;
    return moved;
  });
}
