import {
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { type Problem, WorkflowError } from './problem.ts';

/** A YAML file as plain data, with the place of every part of it. */
export interface YamlDocument {
  /** Maps are objects without a prototype: any key is only a key. */
  readonly value: unknown;
  /** Where the value at path, or its key, is written; of its nearest known parent when it is not there. */
  readonly place: (path: readonly string[], part: 'key' | 'value') => Place;
  /** The scalar at path as it is written (`1.10`, where the value is 1.1); undefined for maps and lists. */
  readonly source: (path: readonly string[]) => string | undefined;
}

interface Place {
  readonly line: number;
  readonly column: number;
}

/** An entry of a map or list; places are offsets in the text. */
interface Entry {
  readonly value: unknown;
  readonly keyAt: number;
  readonly valueAt: number;
  readonly source: string | undefined;
}

/** The entries of each map and list, so that a path leads to a place also through aliases and merged keys. */
type Entries = Map<unknown, ReadonlyMap<string, Entry>>;

/** What users most often got wrong when the library reports this code. */
const hints: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY: "put text that has ': ' in it in quotes",
  TAB_AS_INDENT: 'indent with spaces',
};

const deepest = 64;
const mostValues = 100_000;

/**
 * Reads YAML 1.2 (core schema) with anchors, aliases and merge keys. Throws WorkflowError for text that is not
 * one well-formed document.
 *
 * The tree is turned into data here, not by the library: that gives places for merged keys, finds repeated keys
 * in linear time (the library compares each key with each other one: minutes for 1 MiB), and reads what an
 * anchor names once however often aliases repeat it, while `mostValues` bounds what they amount to.
 */
export function readYaml(text: string, file: string): YamlDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    schema: 'core',
    merge: true,
    resolveKnownTags: false,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
    lineCounter: lines,
  });
  const placeOf = (offset: number): Place => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const found = new Map<number, Problem>();
  const report = (offset: number, message: string, hint?: string) => {
    if (found.has(offset)) return;
    found.set(offset, { file, ...placeOf(offset), message, ...(hint !== undefined && { hint }) });
  };
  for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
    if (code === 'MULTIPLE_DOCS') report(pos[0], 'a second document begins', 'keep one workflow in a file');
    else if (code === 'RESOURCE_EXHAUSTION') report(pos[0], 'the file is nested too deeply');
    else report(pos[0], `not valid YAML: ${message}`, hints[code]);
  }
  if (found.size > 0) throw new WorkflowError([...found.values()]);

  const entries: Entries = new Map();
  const value = toData(document.contents, entries, report);
  if (found.size > 0) throw new WorkflowError([...found.values()]);

  /** The entry at path, or its nearest parent that is an entry. */
  const entryAt = (path: readonly string[]): Entry | undefined => {
    let entry: Entry | undefined;
    for (const key of path) {
      const next = entries.get(entry ? entry.value : value)?.get(key);
      if (!next) break;
      entry = next;
    }
    return entry;
  };
  const rootAt = offsetOf(document.contents, 0);
  return {
    value,
    place: (path, part) => placeOf(entryAt(path)?.[part === 'key' ? 'keyAt' : 'valueAt'] ?? rootAt),
    source: (path) => entryAt(path)?.source,
  };
}

type Report = (offset: number, message: string, hint?: string) => void;

/** Reports what cannot be data, and leaves undefined in its place. */
function toData(root: unknown, entries: Entries, report: Report): unknown {
  const anchors = new Map<string, unknown>();
  const finished = new Map<unknown, { value: unknown; size: number }>();
  let values = 0;

  const count = (size: number, node: unknown) => {
    values += size;
    if (values > mostValues)
      report(offsetOf(node, 0), `more than ${mostValues} values, aliases counted in full`);
  };

  const convert = (node: unknown, depth: number): unknown => {
    if (values > mostValues) return undefined;
    if (isAlias(node)) {
      const target = anchors.get(node.source);
      const done = finished.get(target);
      if (!target)
        report(offsetOf(node, 0), `*${node.source} names nothing: no &${node.source} comes before it`);
      else if (!done) report(offsetOf(node, 0), `*${node.source} is inside what it names`);
      count(done?.size ?? 1, node);
      return done?.value;
    }
    const before = values;
    count(1, node);
    const anchor = isScalar(node) || isCollection(node) ? node.anchor : undefined;
    if (anchor !== undefined) anchors.set(anchor, node);
    let value: unknown = null;
    if (depth > deepest) report(offsetOf(node, 0), `nested more than ${deepest} levels deep`);
    else if (isScalar(node)) value = typeof node.value === 'symbol' ? node.source : node.value;
    else if (isSeq(node)) value = toList(node.items, offsetOf(node, 0), depth);
    else if (isMap(node)) value = toMap(node, depth);
    if (anchor !== undefined) finished.set(node, { value, size: values - before });
    return value;
  };

  const toList = (items: readonly unknown[], at: number, depth: number): unknown[] => {
    const own = items.map((item): Entry => {
      const offset = offsetOf(item, at);
      return { value: convert(item, depth + 1), keyAt: offset, valueAt: offset, source: sourceOf(item) };
    });
    const list = own.map(({ value }) => value);
    entries.set(list, new Map(own.map((entry, index) => [String(index), entry])));
    return list;
  };

  const toMap = (node: YAMLMap, depth: number): Record<string, unknown> => {
    const own = new Map<string, Entry>();
    const merged = new Map<string, Entry>();
    for (const { key, value } of node.items) {
      const at = offsetOf(key, offsetOf(node, 0));
      // The library marks an unquoted `<<` with a symbol.
      if (isScalar(key) && typeof key.value === 'symbol') {
        for (const [name, entry] of toMerge(value, at, depth)) if (!merged.has(name)) merged.set(name, entry);
        continue;
      }
      const name = keyText(key, convert(key, depth + 1));
      if (name === undefined) report(at, 'a key must be text');
      else if (own.has(name)) report(at, `'${name}' is already set in this map`, 'keep one of them');
      else {
        const valueAt = offsetOf(value, at);
        own.set(name, { value: convert(value, depth + 1), keyAt: at, valueAt, source: sourceOf(value) });
      }
    }
    const all = new Map([...merged, ...own]);
    const map: Record<string, unknown> = Object.create(null);
    for (const [name, entry] of all) map[name] = entry.value;
    entries.set(map, all);
    return map;
  };

  /** What `<<` brings in: of one map, or of several, the first of which wins. */
  const toMerge = (node: unknown, at: number, depth: number): [string, Entry][] => {
    const value = convert(node, depth + 1);
    return (Array.isArray(value) ? value : [value]).flatMap((map: unknown) => {
      // What could not be converted has been reported.
      if (map === undefined) return [];
      const isAMap = typeof map === 'object' && map !== null && !Array.isArray(map);
      const taken = isAMap ? [...(entries.get(map) ?? [])] : [];
      if (!isAMap) report(at, '<< takes a map or a list of maps');
      count(taken.length, node);
      return taken;
    });
  };

  return convert(root, 0);
}

/** Keys such as 1 and true are taken as they are written; null is the empty key. */
function keyText(node: unknown, value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return sourceOf(node) ?? String(value);
  if (value === null) return '';
  return typeof value === 'string' ? value : undefined;
}

/** Where a node begins; an absent or empty one has the place of what it belongs to. */
function offsetOf(node: unknown, otherwise: number): number {
  const range = isNode(node) ? node.range : undefined;
  return range && (range[1] > range[0] || !isScalar(node)) ? range[0] : otherwise;
}

function sourceOf(node: unknown): string | undefined {
  return isScalar(node) ? node.source : undefined;
}
