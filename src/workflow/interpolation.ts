import type { Scalar, YamlDocument } from './document.ts';
import type { Finding } from './finding.ts';
import type { Filling } from './room.ts';
import { typedScalar } from './scalar.ts';

/** A document with its variables filled in. */
export type Interpolated = Pick<YamlDocument, 'value' | 'scalar'>;

/** The value of a variable; undefined: nothing of that name is known. */
export type Known = (name: string) => string | undefined;

/** The workflow's own `environment:`, for other parts to name; what it cannot be is left out. */
export function ownVariables(
  { value, scalar }: YamlDocument,
  known: Known,
  fill: Filling,
): Readonly<Record<string, string>> {
  const environment =
    typeof value === 'object' && value !== null && 'environment' in value ? value.environment : null;
  if (typeof environment !== 'object' || environment === null) return {};
  const pairs = Array.isArray(environment)
    ? environment.flatMap((line) => (typeof line === 'string' ? [cut(line)] : []))
    : Object.entries(environment).flatMap(([name, item]): [string, string][] => {
        return typeof item === 'object'
          ? []
          : [[name, scalar(['environment', name])?.source ?? String(item)]];
      });
  return Object.fromEntries(pairs.map(([name, text]) => [name, fill(text, (other) => known(other) ?? '')]));
}

function cut(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}

/** Parts whose text is kept: what runs in a shell is looked at by commands.ts, a matrix says what variables are. */
const isKept = (path: readonly string[]): boolean =>
  path.length === 1
    ? ['matrix', 'variables', 'anchors', '$schema'].includes(path[0] ?? '')
    : (path[0] === 'steps' || path[0] === 'services') &&
      ((path.length === 3 && ['commands', 'script', 'entrypoint'].includes(path[2] ?? '')) ||
        (path.length === 4 && path[2] === 'ready' && path[3] === 'command'));

/** A document whose variables can be filled in. */
export interface Template {
  filledWith(known: Known): Interpolated;
}

/** A text of a document that may name variables. */
interface Site {
  readonly path: readonly string[];
  readonly text: string;
}

/**
 * Prepares a document for having its variables filled in, once for each combination of its matrix: `${NAME}` is replaced
 * in its values, never in its text, so that no value can add keys or steps. Where a number belongs it becomes one
 * (`parallel: ${N}`); a branch called 1.0 stays a text. Names that nobody knows become empty, as in Woodpecker, with a
 * warning.
 *
 * @param isText whether text may stand at a path
 * @param fill fills one text
 */
export function createTemplate(
  document: YamlDocument,
  isText: (path: readonly string[]) => boolean,
  fill: Filling,
  warn: (finding: Finding) => void,
): Template {
  const sites: Site[] = [];
  collectSites(document.value, [], sites);
  return {
    filledWith: (known) => {
      const changed = new Map<string, Scalar>();
      const fresh = new Set<unknown>();
      let value = document.value;
      for (const { path, text } of sites) {
        const result = filled(text, path, known, fill, warn);
        if (result === text) continue;
        const plain = document.scalar(path)?.plain ?? false;
        changed.set(path.join('\0'), { source: result, plain });
        const typed = plain ? typedScalar(result) : result;
        const isNoText = typed !== result && !isText(path);
        value = withValue(value, path, 0, isNoText ? typed : result, fresh);
      }
      return { value, scalar: (path) => changed.get(path.join('\0')) ?? document.scalar(path) };
    },
  };
}

function collectSites(value: unknown, path: string[], sites: Site[]): void {
  if (typeof value === 'string') {
    if (value.includes('$')) sites.push({ path: [...path], text: value });
  } else if (typeof value === 'object' && value !== null && !isKept(path)) {
    for (const [key, item] of Object.entries(value)) {
      path.push(key);
      if (!isKept(path)) collectSites(item, path, sites);
      path.pop();
    }
  }
}

function filled(
  text: string,
  path: readonly string[],
  known: Known,
  fill: Filling,
  warn: (finding: Finding) => void,
): string {
  const lookup = (name: string): string => {
    const value = known(name);
    if (value !== undefined) return value;
    const message = `\${${name}} is not known here, and is empty`;
    warn({ path, part: 'value', message, hint: `write $\${${name}} to leave it as it is` });
    return '';
  };
  const isExpression = path.at(-1) === 'evaluate' && path.includes('when');
  return isExpression ? fillExpression(text, lookup, fill) : fill(text, lookup);
}

/** The same data with another value at a path. Maps and lists on the way are copied, unless they are `fresh` copies. */
function withValue(
  data: unknown,
  path: readonly string[],
  depth: number,
  value: unknown,
  fresh: Set<unknown>,
): unknown {
  const key = path[depth];
  if (key === undefined) return value;
  if (Array.isArray(data)) {
    const list: unknown[] = fresh.has(data) ? data : [...data];
    fresh.add(list);
    list[Number(key)] = withValue(list[Number(key)], path, depth + 1, value, fresh);
    return list;
  }
  const map: Record<string, unknown> = isOurs(data, fresh) ? data : Object.assign(Object.create(null), data);
  fresh.add(map);
  map[key] = withValue(map[key], path, depth + 1, value, fresh);
  return map;
}

function isOurs(data: unknown, fresh: ReadonlySet<unknown>): data is Record<string, unknown> {
  return fresh.has(data);
}

/** Texts of an expression, and what is between them. */
const expressionParts = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[^"'`]+|["'`]/gs;

/**
 * What is put into an expression is a text there, whatever it holds: a commit message cannot end it and go on as a
 * condition.
 */
function fillExpression(text: string, lookup: Known, fill: Filling): string {
  const parts = text.match(expressionParts) ?? [];
  return parts
    .map((part) => {
      const quote = /^["'`]/.exec(part)?.[0];
      if (quote === undefined) {
        return fill(part, lookup, (value) => (/^\d+$/.test(value) ? value : JSON.stringify(value)));
      }
      if (quote === '`') return fill(part, lookup, (value) => value.replaceAll('`', "'"));
      return fill(part, lookup, (value) =>
        JSON.stringify(value)
          .slice(1, -1)
          .replaceAll("'", "\\'")
          .replaceAll('\\"', quote === '"' ? '\\"' : '"'),
      );
    })
    .join('');
}
