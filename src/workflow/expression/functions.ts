import { ExpressionError, type Value } from './expression.ts';
import { lengthOf, numberOf, textOf } from './values.ts';

type Plain = (...args: readonly (Value | undefined)[]) => Value;

const text = (value: Value | undefined, name: string) => textOf(value ?? null, `${name}()`);

function list(value: Value | undefined, name: string): readonly Value[] {
  if (Array.isArray(value)) return value;
  throw new ExpressionError(`${name}() needs a list`);
}

/** Nothing here makes a text much longer than those it is given. */
const plain: Readonly<Record<string, Plain>> = {
  len: (value = null) => lengthOf(value),
  lower: (value) => text(value, 'lower').toLowerCase(),
  upper: (value) => text(value, 'upper').toUpperCase(),
  trim: (value) => text(value, 'trim').trim(),
  trimPrefix: (value, prefix) => {
    const [whole, start] = [text(value, 'trimPrefix'), text(prefix, 'trimPrefix')];
    return whole.startsWith(start) ? whole.slice(start.length) : whole;
  },
  trimSuffix: (value, suffix) => {
    const [whole, end] = [text(value, 'trimSuffix'), text(suffix, 'trimSuffix')];
    return whole.endsWith(end) ? whole.slice(0, whole.length - end.length) : whole;
  },
  hasPrefix: (value, prefix) => text(value, 'hasPrefix').startsWith(text(prefix, 'hasPrefix')),
  hasSuffix: (value, suffix) => text(value, 'hasSuffix').endsWith(text(suffix, 'hasSuffix')),
  indexOf: (value, part) => text(value, 'indexOf').indexOf(text(part, 'indexOf')),
  split: (value, separator) => text(value, 'split').split(text(separator, 'split')),
  splitLines: (value) => text(value, 'splitLines').split('\n'),
  join: (value, separator) =>
    list(value, 'join')
      .map((each) => textOf(each, 'join()'))
      .join(text(separator, 'join')),
  first: (value) => list(value, 'first')[0] ?? null,
  last: (value) => list(value, 'last').at(-1) ?? null,
  int: (value = null) => Math.trunc(numberOf(value, 'int()')),
  float: (value = null) => numberOf(value, 'float()'),
  string: (value) => text(value, 'string'),
};

type Predicate = (items: readonly Value[], of: (item: Value) => Value) => Value;

const ofLists: Readonly<Record<string, Predicate>> = {
  any: (items, of) => items.some((each) => of(each) === true),
  all: (items, of) => items.every((each) => of(each) === true),
  none: (items, of) => !items.some((each) => of(each) === true),
  one: (items, of) => items.filter((each) => of(each) === true).length === 1,
  count: (items, of) => items.filter((each) => of(each) === true).length,
  filter: (items, of) => items.filter((each) => of(each) === true),
  map: (items, of) => items.map(of),
};

/** What may be called, by name. */
export const functions: ReadonlyMap<string, Plain> = new Map(Object.entries(plain));

/** Functions of a list and of an expression on its elements, `#`. */
export const predicates: ReadonlyMap<string, Predicate> = new Map(Object.entries(ofLists));
