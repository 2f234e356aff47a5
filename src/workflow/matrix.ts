import type { YamlDocument } from './document.ts';
import type { Finding } from './finding.ts';
import type { Room } from './room.ts';

/** Values of a matrix by name, as they are written: `1.10` stays `1.10`. */
export type Combination = Readonly<Record<string, string>>;

const most = 256;

/**
 * The combinations of a file's matrix, in the order of the file, the last list changing fastest; one without values when
 * there is no matrix, or when it has another form, which the schema tells of.
 */
export function combinationsOf(
  document: YamlDocument,
  room: Room,
  report: (finding: Finding) => void,
): readonly [Combination, ...Combination[]] {
  const none: readonly [Combination] = [{}];
  const matrix = isMap(document.value) ? document.value['matrix'] : undefined;
  if (!isMap(matrix)) {
    takeRoom(1, document, room, report);
    return none;
  }
  const include = matrix['include'];
  const axes = Object.entries(matrix).filter(([name]) => name !== 'include');
  const count = Array.isArray(include)
    ? include.length
    : axes.reduce((so, [, values]) => so * (Array.isArray(values) ? values.length : 0), 1);
  const tooMany = (message: string, hint: string) => {
    report({ path: ['matrix'], part: 'key', message, hint });
    return none;
  };
  if (count > most) {
    return tooMany(
      `the matrix has ${count} combinations, more than ${most}`,
      'name the needed ones in `include`',
    );
  }
  if (!takeRoom(count, document, room, report)) return none;
  const found = Array.isArray(include)
    ? include.map((item, index) => read(item, ['matrix', 'include', String(index)], document))
    : product(axes, document);
  reportRepeated(found, Array.isArray(include), report);
  const [first, ...others] = found.filter((each) => each !== undefined);
  return first ? [first, ...others] : none;
}

function takeRoom(
  count: number,
  { size }: YamlDocument,
  room: Room,
  report: (finding: Finding) => void,
): boolean {
  room.values -= count * size;
  if (room.values >= 0) return true;
  const message = 'the workflow files come to more than 500,000 values, each combination of a matrix counted';
  report({ path: ['matrix'], part: 'key', message, hint: 'take some out' });
  return false;
}

function product(axes: readonly [string, unknown][], document: YamlDocument): Combination[] {
  return axes.reduce<Combination[]>(
    (so, [name, values]) => {
      if (!Array.isArray(values)) return [];
      const texts = values.map((value, index) => textOf(value, ['matrix', name, String(index)], document));
      return so.flatMap((combination) => texts.map((text) => ({ ...combination, [name]: text })));
    },
    [{}],
  );
}

function read(item: unknown, path: readonly string[], document: YamlDocument): Combination | undefined {
  if (!isMap(item)) return undefined;
  const texts = Object.entries(item).map(([name, value]) => [name, textOf(value, [...path, name], document)]);
  return Object.fromEntries(texts);
}

function textOf(value: unknown, path: readonly string[], document: YamlDocument): string {
  // Where it is no scalar, the schema tells.
  return typeof value === 'string' ? value : (document.scalar(path)?.source ?? '');
}

function reportRepeated(
  combinations: readonly (Combination | undefined)[],
  included: boolean,
  report: (finding: Finding) => void,
): void {
  const seen = new Set<string>();
  for (const [index, combination] of combinations.entries()) {
    if (!combination) continue;
    const id = JSON.stringify(Object.entries(combination));
    if (seen.has(id)) {
      const path = included ? ['matrix', 'include', String(index)] : ['matrix'];
      const message = `the matrix has ${labelOf(combination)} twice`;
      report({ path, part: included ? 'value' : 'key', message, hint: 'keep one of them' });
      return;
    }
    seen.add(id);
  }
}

/** `A=1, B=2`, on one line. */
export function labelOf(combination: Combination): string {
  const parts = Object.entries(combination).map(([name, value]) => `${name}=${shortened(value)}`);
  return parts.join(', ').replace(/\p{Cc}+/gu, ' ');
}

function shortened(value: string): string {
  return value.length > 60 ? `${value.slice(0, 59)}…` : value;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
