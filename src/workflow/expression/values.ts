import { ExpressionError, type Value } from './expression.ts';

/** A variable that is not set counts as an empty text. Throws ExpressionError for a list. */
export function textOf(value: Value, operator: string): string {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'object') throw new ExpressionError(`${operator} needs a text, not a list`);
  return String(value);
}

/** Throws ExpressionError. */
export function numberOf(value: Value, operator: string): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number === 'number' && !Number.isNaN(number)) return number;
  throw new ExpressionError(
    `${operator} needs a number, not ${value === null ? 'nil' : `'${String(value)}'`}`,
  );
}

export function same(a: Value, b: Value): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((each: Value, i) => same(each, b[i] ?? null));
  }
  return a === b;
}

/** Of a text in characters. Throws ExpressionError. */
export function lengthOf(value: Value): number {
  if (typeof value === 'string') return Array.from(value).length;
  if (Array.isArray(value)) return value.length;
  throw new ExpressionError('len() needs a list or a text');
}
