import type { Scalar, YamlDocument } from './document.ts';
import type { Finding } from './finding.ts';
import { typedScalar } from './scalar.ts';
import { substitute } from './substitution.ts';

/** A document with its variables filled in. */
export type Interpolated = Pick<YamlDocument, 'value' | 'scalar'>;

/** The value of a variable; undefined: nothing of that name is known. */
export type Known = (name: string) => string | undefined;

/** The workflow's own `environment:`, for other parts to name; what it cannot be is left out. */
export function ownVariables(
  { value, scalar }: YamlDocument,
  known: Known,
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
  return Object.fromEntries(
    pairs.map(([name, text]) => [name, substitute(text, (other) => known(other) ?? '')]),
  );
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

/** A text of a document that may name variables. */
interface Site {
  readonly path: readonly string[];
  readonly text: string;
  /** Where no text may stand, what comes out is typed as if it had been written there. */
  readonly becomes: 'text' | 'typed';
}

/**
 * Prepares a document for having its variables filled in, once for each combination of its matrix: `${NAME}` is replaced
 * in its values, never in its text, so that no value can add keys or steps. Where a number belongs it becomes one
 * (`parallel: ${N}`); a branch called 1.0 stays a text. Names that nobody knows become empty, as in Woodpecker, with a
 * warning.
 *
 * @param isText whether text may stand at a path
 */
export function createTemplate(
  document: YamlDocument,
  isText: (path: readonly string[]) => boolean,
  warn: (finding: Finding) => void,
): { fill(known: Known): Interpolated } {
  const texts: { readonly path: readonly string[]; readonly text: string }[] = [];
  collectTexts(document.value, [], texts);
  const sites = texts.map((site): Site => ({ ...site, becomes: isText(site.path) ? 'text' : 'typed' }));
  return {
    fill: (known) => {
      const changed = new Map<string, Scalar>();
      const fresh = new Set<unknown>();
      let value = document.value;
      for (const { path, text, becomes } of sites) {
        const result = filled(text, path, known, warn);
        if (result === text) continue;
        const plain = document.scalar(path)?.plain ?? false;
        changed.set(path.join('\0'), { source: result, plain });
        const typed = plain && becomes === 'typed' ? typedScalar(result) : result;
        value = withValue(value, path, 0, typed, fresh);
      }
      return { value, scalar: (path) => changed.get(path.join('\0')) ?? document.scalar(path) };
    },
  };
}

function collectTexts(
  value: unknown,
  path: string[],
  texts: { readonly path: readonly string[]; readonly text: string }[],
): void {
  if (typeof value === 'string') {
    if (value.includes('$')) texts.push({ path: [...path], text: value });
  } else if (typeof value === 'object' && value !== null && !isKept(path)) {
    for (const [key, item] of Object.entries(value)) {
      path.push(key);
      if (!isKept(path)) collectTexts(item, path, texts);
      path.pop();
    }
  }
}

function filled(
  text: string,
  path: readonly string[],
  known: Known,
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
  return isExpression ? fillExpression(text, lookup) : substitute(text, lookup);
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
function fillExpression(text: string, lookup: Known): string {
  const parts = text.match(expressionParts) ?? [];
  return parts
    .map((part) => {
      const quote = /^["'`]/.exec(part)?.[0];
      if (quote === undefined) {
        return substitute(part, lookup, (value) => (/^\d+$/.test(value) ? value : JSON.stringify(value)));
      }
      if (quote === '`') return substitute(part, lookup, (value) => value.replaceAll('`', "'"));
      return substitute(part, lookup, (value) =>
        JSON.stringify(value)
          .slice(1, -1)
          .replaceAll("'", "\\'")
          .replaceAll('\\"', quote === '"' ? '\\"' : '"'),
      );
    })
    .join('');
}
