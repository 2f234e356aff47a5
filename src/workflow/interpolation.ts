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
const kept = (path: readonly string[]): boolean =>
  path.length === 1
    ? ['matrix', 'variables', 'anchors', '$schema'].includes(path[0] ?? '')
    : (path[0] === 'steps' || path[0] === 'services') &&
      ((path.length === 3 && ['commands', 'script', 'entrypoint'].includes(path[2] ?? '')) ||
        (path.length === 4 && path[2] === 'ready' && path[3] === 'command'));

/**
 * Replaces `${NAME}` in a document's values: never in its text, so that no value can add keys or steps. Plain scalars
 * get a type anew (`parallel: ${N}` is a number). Names that nobody knows become empty, as in Woodpecker, with a warning.
 */
export function interpolate(
  document: YamlDocument,
  known: Known,
  warn: (finding: Finding) => void,
): Interpolated {
  const changed = new Map<string, Scalar>();
  const path: string[] = [];

  const lookup = (name: string): string => {
    const value = known(name);
    if (value !== undefined) return value;
    const message = `\${${name}} is not known here, and is empty`;
    warn({ path: [...path], part: 'value', message, hint: `$\${${name}} is left as it is` });
    return '';
  };

  const filled = (text: string): unknown => {
    if (!text.includes('$')) return text;
    const isExpression = path.at(-1) === 'evaluate' && path.includes('when');
    const result = isExpression ? fillExpression(text, lookup) : substitute(text, lookup);
    if (result === text) return text;
    const plain = document.scalar(path)?.plain ?? false;
    changed.set(path.join('\0'), { source: result, plain });
    return plain ? typedScalar(result) : result;
  };

  const walk = (value: unknown): unknown => {
    if (typeof value === 'string') return filled(value);
    if (typeof value !== 'object' || value === null || kept(path)) return value;
    let copy: Record<string, unknown> | unknown[] | undefined;
    for (const [key, item] of Object.entries(value)) {
      path.push(key);
      const result = walk(item);
      path.pop();
      if (result === item) continue;
      copy ??= Array.isArray(value) ? [...value] : Object.assign(Object.create(null), value);
      if (Array.isArray(copy)) copy[Number(key)] = result;
      else if (copy) copy[key] = result;
    }
    return copy ?? value;
  };

  return {
    value: walk(document.value),
    scalar: (at) => (changed.size === 0 ? undefined : changed.get(at.join('\0'))) ?? document.scalar(at),
  };
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
