import { parseEvents, YAMLException } from 'js-yaml';
import { type Problem, WorkflowError } from './problem.ts';
import { type Entries, type Entry, readData } from './yaml-data.ts';

/** A YAML file as plain data, with the place of every part of it. */
export interface YamlDocument {
  /** Maps are objects without a prototype: any key is only a key. */
  readonly value: unknown;
  /** How many values it amounts to, aliases counted in full. */
  readonly size: number;
  /** Where the value at path, or its key, is written; of its nearest known parent when it is not there. */
  readonly place: (path: readonly string[], part: 'key' | 'value') => Place;
  /** The scalar at path; undefined for maps and lists. */
  readonly scalar: (path: readonly string[]) => Scalar | undefined;
}

/** A scalar as it is written: `1.10`, where the value is 1.1. */
export interface Scalar {
  readonly source: string;
  /** Neither quoted nor tagged: what it says decides its type. */
  readonly plain: boolean;
}

interface Place {
  readonly line: number;
  readonly column: number;
}

/** What users most often got wrong when the parser stops for this reason. */
const hints: readonly (readonly [RegExp, string])[] = [
  [/indentation of a mapping/, "put text that has ': ' in it, or begins with a sign, in quotes"],
  [/tab characters/, 'indent with spaces'],
];

/** Levels of maps and lists. */
const deepest = 64;

/**
 * Reads YAML 1.2 (core schema) with anchors, aliases, merge keys, and Woodpecker's merging of lists. Throws
 * WorkflowError for text that is not one well-formed document.
 */
export function readYaml(text: string, file: string): YamlDocument {
  const placeOf = placesIn(text);
  const found = new Map<number, Problem>();
  const report = (offset: number, message: string, hint?: string) => {
    if (!found.has(offset)) found.set(offset, { file, ...placeOf(offset), message, ...(hint && { hint }) });
  };
  const entries: Entries = new Map();
  let root: { readonly value: unknown; readonly size: number; readonly at: number } | undefined;
  try {
    root = readData(parseEvents(text, { maxDepth: deepest + 1 }), text, entries, report);
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { reason, mark } = error;
    const tooDeep = reason.startsWith('nesting');
    const message = tooDeep ? `nested more than ${deepest} levels deep` : `not valid YAML: ${reason}`;
    report(mark?.position ?? 0, message, hints.find(([pattern]) => pattern.test(reason))?.[1]);
  }
  if (!root || found.size > 0) throw new WorkflowError([...found.values()]);
  const { value, size, at } = root;

  const nearest = (
    path: readonly string[],
  ): { readonly entry: Entry | undefined; readonly exact: boolean } => {
    let entry: Entry | undefined;
    for (const key of path) {
      const next = entries.get(entry ? entry.value : value)?.get(key);
      if (!next) return { entry, exact: false };
      entry = next;
    }
    return { entry, exact: true };
  };
  return {
    value,
    size,
    place: (path, part) => placeOf(nearest(path).entry?.[part === 'key' ? 'keyAt' : 'valueAt'] ?? at),
    scalar: (path) => {
      const { entry, exact } = nearest(path);
      return exact && entry?.source !== undefined ? { source: entry.source, plain: entry.plain } : undefined;
    },
  };
}

/** Places of offsets in a text; lines are counted when the first place is asked for. */
function placesIn(text: string): (offset: number) => Place {
  let starts: number[] | undefined;
  return (offset) => {
    starts ??= [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
    let low = 0;
    for (let high = starts.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: Math.max(Math.min(offset, text.length) - (starts[low] ?? 0), 0) + 1 };
  };
}
