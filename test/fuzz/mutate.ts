import type { Random } from '../random.ts';

/** The words of a line. */
export function words(line: string): string[] {
  return line.split(' ');
}

/** What text can hold that people seldom think of. */
export const oddities: readonly string[] = [
  ['', ' ', '\t', '\n', '\r', '\0', '\u007f', '\u0085', '\u2028', '\u202e', '\ufeff'],
  ['é', '\u{1f600}', '\ud83d', '\udc00'],
].flat();

/** One of some items; they must not be none. */
export function oneOf<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[random.between(0, items.length - 1)];
  if (item === undefined) throw new TypeError('nothing to choose from');
  return item;
}

/** Up to `most` pieces, one after another. */
export function textOf(random: Random, pieces: readonly string[], most: number): string {
  return Array.from({ length: random.between(0, most) }, () => oneOf(random, pieces)).join('');
}

/** A text with some parts of it taken out, doubled or replaced by a piece. */
export function mutateText(random: Random, text: string, pieces: readonly string[]): string {
  let result = text;
  for (let changes = random.between(1, 4); changes > 0; changes--) {
    const at = random.between(0, result.length);
    const from = random.between(0, result.length);
    const put = random.chance(0.3) ? result.slice(from, from + random.between(1, 30)) : oneOf(random, pieces);
    const over = random.chance(0.5) ? 0 : random.between(1, 12);
    result = result.slice(0, at) + put + result.slice(at + over);
  }
  return result;
}

/** Bytes with some of them changed, taken out, doubled or set to what ends or overflows a number. */
export function mutateBytes(random: Random, bytes: Buffer): Buffer {
  let result = Buffer.from(bytes);
  for (let changes = random.between(1, 6); changes > 0 && result.length > 0; changes--) {
    const at = random.between(0, result.length - 1);
    const length = random.chance(0.7) ? 1 : random.between(1, 600);
    const part = result.subarray(at, at + length);
    const put = oneOf(random, [
      () => Buffer.alloc(0),
      () => Buffer.concat([part, part]),
      () => Buffer.alloc(part.length, oneOf(random, [0, 0x20, 0x2e, 0x2f, 0x30, 0x37, 0x7f, 0x80, 0xff])),
      () => Buffer.from(part.map((byte) => byte ^ (1 << random.between(0, 7)))),
    ])();
    result = Buffer.concat([result.subarray(0, at), put, result.subarray(at + length)]);
  }
  return result;
}

const scalars = [null, true, 0, -1, 1e308, 2 ** 53];
const shapes = [[], [[]], {}];
const junk: readonly unknown[] = [
  ...words('x --output=x ../.. refs/heads/.. $(id) __proto__ / 1970-01-01T00:00:00Z'),
  ...oddities,
  ...scalars,
  ...shapes,
  'x'.repeat(5000),
];

/** A value with some of its parts left out, or replaced by what nobody expects. */
export function damage(random: Random, value: unknown, often = 0.03): unknown {
  if (random.chance(often)) return oneOf(random, junk);
  if (Array.isArray(value)) return value.slice(0, 4).map((each) => damage(random, each, often));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(() => !random.chance(often / 2));
  return Object.fromEntries(entries.map(([name, each]) => [name, damage(random, each, often)]));
}
