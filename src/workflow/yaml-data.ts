import { type Event, EVENT_ID, getScalarValue, SCALAR_STYLE, type ScalarEvent } from 'js-yaml';
import { taggedScalar, typedScalar } from './scalar.ts';

/** An entry of a map or list; places are offsets in the text. */
export interface Entry {
  readonly value: unknown;
  readonly keyAt: number;
  readonly valueAt: number;
  /** Of a scalar, as it is written. */
  readonly source: string | undefined;
  /** A scalar neither quoted nor tagged. */
  readonly plain: boolean;
}

/** The entries of each map and list, so that a path leads to a place also through aliases and merged keys. */
export type Entries = Map<unknown, Map<string, Entry>>;

type Node = Omit<Entry, 'keyAt'>;
type Report = (offset: number, message: string, hint?: string) => void;

const mostValues = 100_000;

/**
 * Turns a parser's events into data. What cannot be data is reported. Throws YAMLException.
 *
 * This is done here, not by the library: it gives places for all parts, also for merged keys, and reads what an anchor
 * names once however often aliases repeat it, while `mostValues` bounds what they amount to.
 */
export function readData(
  events: readonly Event[],
  text: string,
  entries: Entries,
  report: Report,
): { readonly value: unknown; readonly size: number; readonly at: number } {
  const anchors = new Map<string, { readonly node: Node; readonly size: number } | 'open'>();
  let index = 0;
  let values = 0;

  const count = (size: number, offset: number): boolean => {
    const tooManyBefore = values > mostValues;
    values += size;
    if (values > mostValues && !tooManyBefore)
      report(offset, `more than ${mostValues} values, aliases counted in full`);
    return values <= mostValues;
  };
  const atEnd = () => events[index]?.type === EVENT_ID.POP;

  /** The node that begins with the next event; `outer`: where the key of an empty value is. */
  const read = (outer: number): Node => {
    const event = events[index++];
    if (event?.type === EVENT_ID.ALIAS) return readAlias(anchorOf(event), event.anchorStart - 1);
    if (
      event?.type !== EVENT_ID.SCALAR &&
      event?.type !== EVENT_ID.SEQUENCE &&
      event?.type !== EVENT_ID.MAPPING
    ) {
      throw new TypeError(`the parser told of no value, but of event ${event?.type}`);
    }
    const before = values;
    if (event.anchorStart !== -1) anchors.set(anchorOf(event), 'open');
    const node = event.type === EVENT_ID.SCALAR ? readScalar(event, outer) : readCollection(event);
    if (event.anchorStart !== -1) anchors.set(anchorOf(event), { node, size: values - before });
    return node;
  };

  const anchorOf = (event: { readonly anchorStart: number; readonly anchorEnd: number }): string =>
    text.slice(event.anchorStart, event.anchorEnd);

  const tagOf = (event: { readonly tagStart: number; readonly tagEnd: number }): string =>
    event.tagStart === -1 ? '' : text.slice(event.tagStart, event.tagEnd);

  const readAlias = (name: string, at: number): Node => {
    const target = anchors.get(name);
    if (target === undefined) report(at, `*${name} names nothing: no &${name} comes before it`);
    if (target === 'open') report(at, `*${name} is inside what it names`);
    if (target === undefined || target === 'open') {
      return { value: undefined, valueAt: at, source: undefined, plain: false };
    }
    count(target.size, at);
    return { ...target.node, valueAt: at };
  };

  const readScalar = (event: ScalarEvent, outer: number): Node => {
    const valueAt = placeOf(event, outer);
    count(1, valueAt);
    const source = getScalarValue(text, event);
    const tag = tagOf(event);
    const plain = tag === '' && event.style === SCALAR_STYLE.PLAIN;
    const value = plain ? typedScalar(source) : tag === '' ? source : taggedScalar(source, tag);
    if (value === undefined) report(event.tagStart, `the tag ${tag} does not fit, or is not known`);
    return { value, valueAt, source, plain };
  };

  /** Where it begins: of quoted text the quote, of a block its sign. */
  const placeOf = ({ valueStart, style }: ScalarEvent, outer: number): number => {
    if (valueStart === -1) return outer;
    if (style === SCALAR_STYLE.PLAIN) return valueStart;
    if (style === SCALAR_STYLE.LITERAL_BLOCK) return text.lastIndexOf('|', valueStart - 1);
    return style === SCALAR_STYLE.FOLDED_BLOCK ? text.lastIndexOf('>', valueStart - 1) : valueStart - 1;
  };

  const readCollection = (
    event: Extract<Event, { type: typeof EVENT_ID.SEQUENCE | typeof EVENT_ID.MAPPING }>,
  ): Node => {
    const isMap = event.type === EVENT_ID.MAPPING;
    const { start } = event;
    const tag = tagOf(event);
    count(1, start);
    if (!['', '!', isMap ? '!!map' : '!!seq'].includes(tag))
      report(event.tagStart, `the tag ${tag} is not known`);
    const value = isMap ? readMap(start) : readList(start);
    index++;
    return { value, valueAt: start, source: undefined, plain: false };
  };

  const readList = (start: number): unknown[] => {
    const own: Entry[] = [];
    while (!atEnd()) {
      const merged = mergedItems();
      if (merged) own.push(...merged);
      else {
        const node = read(start);
        own.push({ ...node, keyAt: node.valueAt });
      }
    }
    const list = own.map(({ value }) => value);
    entries.set(list, new Map(own.map((entry, at) => [String(at), entry])));
    return list;
  };

  /** Of an item `<<: *list` or `<<: [*list, *list]` what those lists hold; undefined: it is another item. */
  const mergedItems = (): readonly Entry[] | undefined => {
    const map = events[index];
    const first = events[index + 2];
    if (map?.type !== EVENT_ID.MAPPING || !isMergeKey(events[index + 1])) return undefined;
    let end = index + 3;
    const names = first?.type === EVENT_ID.ALIAS ? [anchorOf(first)] : [];
    if (first?.type === EVENT_ID.SEQUENCE) {
      for (let item = events[end]; item?.type === EVENT_ID.ALIAS; item = events[++end])
        names.push(anchorOf(item));
      if (events[end++]?.type !== EVENT_ID.POP) return undefined;
    }
    const lists = names.flatMap((name) => {
      const target = anchors.get(name);
      return target !== undefined && target !== 'open' && Array.isArray(target.node.value) ? [target] : [];
    });
    if (names.length === 0 || lists.length < names.length || events[end]?.type !== EVENT_ID.POP)
      return undefined;
    index = end + 1;
    return lists.flatMap(({ node, size }) =>
      count(size, map.start) ? [...(entries.get(node.value)?.values() ?? [])] : [],
    );
  };

  const isMergeKey = (event: Event | undefined): boolean =>
    event?.type === EVENT_ID.SCALAR &&
    event.style === SCALAR_STYLE.PLAIN &&
    event.valueEnd - event.valueStart === 2 &&
    text.startsWith('<<', event.valueStart);

  const readMap = (start: number): Record<string, unknown> => {
    const own = new Map<string, Entry>();
    const merged = new Map<string, Entry>();
    while (!atEnd()) {
      const isMerge = isMergeKey(events[index]);
      const { value: key, valueAt: keyAt, source } = read(start);
      const node = read(keyAt);
      if (isMerge) {
        for (const [name, entry] of mergedEntries(node.value, keyAt))
          if (!merged.has(name)) merged.set(name, entry);
        continue;
      }
      const name = keyText(key, source);
      if (name === undefined) report(keyAt, 'a key must be text');
      else if (own.has(name)) report(keyAt, `'${name}' is already set in this map`, 'keep one of them');
      else own.set(name, { ...node, keyAt });
    }
    for (const [name, entry] of own) merged.set(name, entry);
    const map: Record<string, unknown> = Object.create(null);
    for (const [name, entry] of merged) map[name] = entry.value;
    entries.set(map, merged);
    return map;
  };

  /** What `<<` brings in: of one map, or of several, the first of which wins. */
  const mergedEntries = (value: unknown, at: number): (readonly [string, Entry])[] =>
    [value].flat().flatMap((map) => {
      // What could not be read has been reported.
      if (map === undefined) return [];
      const isAMap = typeof map === 'object' && map !== null && !Array.isArray(map);
      const taken = isAMap ? [...(entries.get(map) ?? [])] : [];
      if (!isAMap) report(at, '<< takes a map or a list of maps');
      return count(taken.length, at) ? taken : [];
    });

  const [start] = events;
  if (start?.type !== EVENT_ID.DOCUMENT) return { value: null, size: 0, at: 0 };
  index = 1;
  const { value, valueAt } = atEnd() ? { value: null, valueAt: 0 } : read(0);
  const second = events[index + 2];
  if (second) {
    const at = 'start' in second ? second.start : 'valueStart' in second ? second.valueStart : text.length;
    report(
      Math.max(text.lastIndexOf('\n---', at) + 1, 0),
      'a second document begins',
      'keep one workflow in a file',
    );
  }
  return { value, size: values, at: valueAt };
}

/** Keys such as 1 and true are taken as they are written; null is the empty key. */
function keyText(value: unknown, source: string | undefined): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return source ?? String(value);
  if (value === null) return '';
  return typeof value === 'string' ? value : undefined;
}
