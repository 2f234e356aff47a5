import { type Automaton, createAutomaton } from './automaton.ts';
import { maskedForms } from './masked-forms.ts';

/** What stands in a log for a secret; not longer than the shortest secret. */
const mark = Buffer.from('********');

/**
 * Keeps secrets out of logs and messages. The last line of defence, not the first: a program that means to print a
 * secret finds a form that is not known here.
 */
export interface Mask {
  text(text: string): string;
  /** Stands between the output of a command and its reader. */
  readonly stream: (reader: Reader) => MaskedStream;
}

type Reader = (chunk: Buffer) => void | Promise<void>;

/**
 * Passes on at once what cannot belong to a secret, and holds back no more than the end that may be the beginning of
 * one, until more comes or the output ends.
 */
export interface MaskedStream {
  readonly write: Reader;
  /** Passes on what was held back. To be called once, after the last write. */
  readonly end: () => void | Promise<void>;
}

/** @param secrets each of at least shortestSecret characters; with none of them the mask costs nothing */
export function createMask(secrets: Iterable<string>): Mask {
  const forms = [...new Set(secrets)].flatMap(maskedForms);
  if (forms.length === 0) {
    return { text: (text) => text, stream: (reader) => ({ write: reader, end: () => {} }) };
  }
  const automaton = createAutomaton(forms);
  const stream = (reader: Reader) => maskedStream(automaton, reader);
  return {
    text: (text) => {
      const parts: Buffer[] = [];
      const { write, end } = stream((part) => void parts.push(part));
      void write(Buffer.from(text));
      void end();
      return Buffer.concat(parts).toString();
    },
    stream,
  };
}

/** Bytes from `from` to before `to` of all that was written. */
interface Span {
  readonly from: number;
  readonly to: number;
}

function maskedStream(automaton: Automaton, reader: Reader): MaskedStream {
  let state = 0;
  let written = 0;
  let passed = 0;
  /** From `passed` to `written`. */
  const held = createBacklog();
  /** Secrets that end after `passed`, in order; none overlaps another. */
  let secrets: Span[] = [];

  const found = (end: number, length: number) => {
    const to = written + end;
    let from = to - length;
    for (let last = secrets.at(-1); last && last.to > from; last = secrets.at(-1)) {
      from = Math.min(from, last.from);
      secrets.pop();
    }
    secrets.push({ from, to });
  };

  const take = (count: number): Buffer[] => {
    passed += count;
    return held.take(count);
  };

  /** Passes on all before `until`, where no secret begins that is not known by now. */
  const pass = (until: number): void | Promise<void> => {
    const parts: Buffer[] = [];
    let done = 0;
    for (const { from, to } of secrets) {
      if (from >= until) break;
      // A secret that was passed in part has its mark already.
      if (from >= passed) parts.push(...take(from - passed), mark);
      take(Math.min(to, until) - passed);
      if (to <= until) done++;
    }
    secrets = secrets.slice(done);
    parts.push(...take(until - passed));
    const [only, ...others] = parts;
    if (!only) return undefined;
    return reader(others.length === 0 ? only : Buffer.concat(parts));
  };

  return {
    write: (chunk) => {
      state = automaton.scan(chunk, state, found);
      written += chunk.length;
      held.push(chunk);
      return pass(written - automaton.open(state));
    },
    end: () => pass(written),
  };
}

interface Backlog {
  push(chunk: Buffer): void;
  /** The next `count` bytes, which are there. */
  take(count: number): Buffer[];
}

/** Chunks in order, without a copy of any; a step of each operation is paid once for each chunk. */
function createBacklog(): Backlog {
  let chunks: Buffer[] = [];
  let first = 0;
  return {
    push: (chunk) => void chunks.push(chunk),
    take: (count) => {
      const parts: Buffer[] = [];
      for (let left = count; left > 0; ) {
        const chunk = chunks[first] ?? Buffer.alloc(0);
        const part = chunk.subarray(0, left);
        parts.push(part);
        left -= part.length;
        if (part.length === chunk.length) first++;
        else chunks[first] = chunk.subarray(part.length);
      }
      // Half of them at least are done with: each moves once or twice in its life.
      if (first * 2 >= chunks.length) {
        chunks = chunks.slice(first);
        first = 0;
      }
      return parts;
    },
  };
}
