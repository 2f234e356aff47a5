import { isUtf8 } from 'node:buffer';
import { originOf } from '../logs/label.ts';
import type { LogEntry, LogPosition } from '../logs.ts';

/** How a log is sent. */
export type LogFormat = 'event-stream' | 'ndjson' | 'plain';

/** A piece of a log, with what goes over the wire made once for all who get it. */
export interface FramedEntry {
  readonly attempt: number;
  /** Bytes of the log before it. */
  readonly offset: number;
  /** Bytes of the log with it. */
  readonly end: number;
  frame(format: LogFormat): Buffer;
  /** The rest of it from a byte of the log on. */
  from(offset: number): FramedEntry;
}

/** Keeps the entry's data, without a copy. */
export function framedEntry(entry: LogEntry): FramedEntry {
  const { attempt, offset, step, data } = entry;
  const frames: Partial<Record<LogFormat, Buffer>> = { plain: data };
  return {
    attempt,
    offset,
    end: offset + data.length,
    frame: (format) => (frames[format] ??= encode(format, entry)),
    from: (start) => framedEntry({ attempt, offset: start, step, data: data.subarray(start - offset) }),
  };
}

/** The id of an event: who reconnects with it goes on after the bytes before `offset`. */
const eventId = ({ attempt, offset }: LogPosition) => `${attempt}:${offset}`;

/** The position in an id of eventId; undefined: it is none. */
export function parseEventId(text: string): LogPosition | undefined {
  const match = /^(\d{1,9}):(\d{1,15})$/.exec(text);
  return match ? { attempt: Number(match[1]), offset: Number(match[2]) } : undefined;
}

/**
 * Bytes need not be text: what is UTF-8 comes as `text`, the rest as `base64`. A character that was cut in two comes as
 * base64 at the end of one entry and at the start of the next, and the text between stays readable.
 */
function encode(format: LogFormat, { attempt, offset, step, data, cutBytes }: LogEntry): Buffer {
  const events = pieces(data).map(([from, to]) => {
    const bytes = data.subarray(from, to);
    const event = {
      attempt,
      offset: offset + from,
      ...originOf(step),
      ...(from === 0 && cutBytes !== undefined && { cutBytes }),
      ...(isUtf8(bytes) ? { text: bytes.toString('utf8') } : { base64: bytes.toString('base64') }),
    };
    if (format === 'ndjson') return ndjson('log', event);
    return serverSentEvent('log', event, eventId({ attempt, offset: offset + to }));
  });
  return Buffer.from(events.join(''));
}

/** One line of NDJSON. */
export function ndjson(type: string, event: object): string {
  return `${JSON.stringify({ type, ...event })}\n`;
}

/** One event of text/event-stream; JSON has no line breaks of its own. */
export function serverSentEvent(type: string, event: object, id?: string): string {
  return `event: ${type}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(event)}\n\n`;
}

/** Cuts data into what begins in the middle of a character, whole text, and the beginning of a character (RFC 3629). */
function pieces(data: Buffer): [number, number][] {
  let head = 0;
  while (head < Math.min(3, data.length) && isContinuation(data[head])) head++;
  let tail = data.length;
  for (let back = 1; back <= Math.min(3, data.length - head); back++) {
    const byte = data[data.length - back] ?? 0;
    if (isContinuation(byte)) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    if (length > back) tail = data.length - back;
    break;
  }
  if (!isUtf8(data.subarray(head, tail))) return [[0, data.length]];
  const cuts: [number, number][] = [
    [0, head],
    [head, tail],
    [tail, data.length],
  ];
  return cuts.filter(([from, to]) => from < to);
}

const isContinuation = (byte = 0) => (byte & 0xc0) === 0x80;
