import { RE2JS } from 're2js';

/**
 * `${NAME}` and bash's string operations, as Woodpecker's workflows use them: what a workflow file says of variables is
 * replaced before it is judged. Pure, and linear in time whatever the pattern.
 */

/** What a variable is replaced by; undefined: it is not one of ours, and the text stays as it is. */
export type Lookup = (name: string) => string | undefined;

/** Turns the value of `${…}` into what stands in the text; `name` is the variable's. */
export type Insert = (value: string, name: string) => string;

/** An operation on a value; the arguments have been substituted already. */
type Operation = (value: string, args: readonly string[]) => string;

interface Reference {
  readonly name: string;
  readonly operation: Operation;
  /** As written: substitutions in them are made only when this one is. */
  readonly args: readonly string[];
  /** Length of all from `${` to `}`. */
  readonly length: number;
}

/** What comes out is longer than any use there is for it. */
export class SubstitutionError extends Error {
  override readonly name = 'SubstitutionError';
}

/** Characters; a workflow file itself has no more. */
const mostCharacters = 1024 * 1024;

/**
 * Replaces each `${NAME…}` whose name `lookup` knows. `$$` before a name or a brace is one `$`, so that `$${X}` stays
 * `${X}`. What is no substitution (`${a[@]}`, an open brace) stays for the shell. Throws SubstitutionError.
 */
export function substitute(text: string, lookup: Lookup, insert: Insert = (value) => value): string {
  if (!text.includes('$')) return text;
  let result = '';
  for (let at = 0; at < text.length; ) {
    const dollar = text.indexOf('$', at);
    if (dollar === -1) return result + text.slice(at);
    result += text.slice(at, dollar);
    const escaped = /^\$\$(?=[{A-Za-z_])/.test(text.slice(dollar, dollar + 3));
    const reference = escaped ? undefined : parseReference(text, dollar);
    const value = reference && lookup(reference.name);
    if (escaped) {
      const name = /^\$\$(\{?\w*)/.exec(text.slice(dollar, dollar + 1000))?.[1] ?? '';
      result += `$${name}`;
      at = dollar + 2 + name.length;
    } else if (reference && value !== undefined) {
      const args = reference.args.map((arg) => substitute(arg, lookup));
      result += insert(reference.operation(value, args), reference.name);
      at = dollar + reference.length;
      if (result.length > mostCharacters)
        throw new SubstitutionError(`more than ${mostCharacters} characters`);
    } else {
      result += '$';
      at = dollar + 1;
    }
  }
  return result;
}

const head = /^\$\{(#?)([A-Za-z_][A-Za-z0-9_]*)(:[-=?+]|##?|%%?|\/[/#%]?|,,?|\^\^?|[:=]?)/;

/** Reads `${…}`; undefined: it is none. */
function parseReference(text: string, start: number): Reference | undefined {
  const [whole = '', length, name = '', operator = ''] = head.exec(text.slice(start, start + 1000)) ?? [];
  if (whole === '') return undefined;
  const operation = length === '#' ? (operator === '' ? count : undefined) : operations[operator];
  if (!operation) return undefined;
  const end = closingBrace(text, start + whole.length);
  if (end === undefined) return undefined;
  const written = text.slice(start + whole.length, end);
  if (written !== '' && /^(,|\^|$)/.test(operator)) return undefined;
  const separator = operator === ':' ? ':' : operator.startsWith('/') ? '/' : undefined;
  return { name, operation, args: split(written, separator), length: end + 1 - start };
}

/** No substitution is longer; so many open braces cost no more than their number. */
const longest = 1024;

/** Where the brace is closed that was opened before `from`; those of substitutions within are skipped. */
function closingBrace(text: string, from: number): number | undefined {
  let depth = 0;
  for (const { 0: sign, index } of text.slice(from, from + longest).matchAll(/\$\{|\}|\n/g)) {
    if (sign === '\n') return undefined;
    if (sign === '${') depth++;
    else if (depth-- === 0) return from + index;
  }
  return undefined;
}

/** At the first separator that is not quoted by `\`; the second part may hold more of them. */
function split(written: string, separator: string | undefined): string[] {
  if (separator === undefined) return [written];
  const unquoted = (part: string) => part.replace(/\\([/\\])/g, '$1');
  for (let at = 0; at < written.length; at++) {
    if (written[at] === '\\') at++;
    else if (written[at] === separator)
      return [unquoted(written.slice(0, at)), unquoted(written.slice(at + 1))];
  }
  return [unquoted(written)];
}

const count: Operation = (value) => String(Array.from(value).length);
const orDefault: Operation = (value, [word = '']) => (value === '' ? word : value);
const firstTo = (change: (text: string) => string) => (value: string) => {
  const [first = '', ...others] = value;
  return change(first) + others.join('');
};
const lower = (text: string) => text.toLowerCase();
const upper = (text: string) => text.toUpperCase();

const operations: Readonly<Record<string, Operation>> = {
  '': (value) => value,
  ',': firstTo(lower),
  ',,': lower,
  '^': firstTo(upper),
  '^^': upper,
  ':': substring,
  '=': orDefault,
  ':=': orDefault,
  ':-': orDefault,
  ':?': orDefault,
  ':+': (value, [word = '']) => (value === '' ? '' : word),
  '#': (value, [pattern = '']) => value.slice(prefixOf(value, pattern, 'shortest')),
  '##': (value, [pattern = '']) => value.slice(prefixOf(value, pattern, 'longest')),
  '%': (value, [pattern = '']) => withoutSuffix(value, pattern, 'shortest'),
  '%%': (value, [pattern = '']) => withoutSuffix(value, pattern, 'longest'),
  '/': (value, [old = '', fresh = '']) => (old === '' ? value : value.replace(old, () => fresh)),
  '//': replaceAll,
  '/#': (value, [old = '', fresh = '']) => (value.startsWith(old) ? fresh + value.slice(old.length) : value),
  '/%': (value, [old = '', fresh = '']) =>
    value.endsWith(old) ? value.slice(0, value.length - old.length) + fresh : value,
};

/** What would be too long is not even made. */
function replaceAll(value: string, [old = '', fresh = '']: readonly string[]): string {
  if (old === '') return value;
  const parts = value.split(old);
  if (parts.length * fresh.length > mostCharacters) {
    throw new SubstitutionError(`more than ${mostCharacters} characters`);
  }
  return parts.join(fresh);
}

/** Characters from a position on, as bash counts; a negative one counts from the end. */
function substring(value: string, [from = '', length]: readonly string[]): string {
  const characters = Array.from(value);
  const position = Number(from.trim() || Number.NaN);
  if (!Number.isInteger(position)) return value;
  const start = position < 0 ? Math.max(0, characters.length + position) : position;
  if (length === undefined) return characters.slice(start).join('');
  const many = Number(length.trim() || Number.NaN);
  if (!Number.isInteger(many)) return value;
  return characters.slice(start, many < 0 ? many : start + many).join('');
}

type Extent = 'shortest' | 'longest';

/** Length of the part at the start that a shell pattern matches; 0: it matches none. */
function prefixOf(value: string, pattern: string, extent: Extent): number {
  if (!/[*?[\\]/.test(pattern)) return value.startsWith(pattern) ? pattern.length : 0;
  const expression = expressionOf(pattern, extent);
  if (expression === undefined) return 0;
  const matcher = RE2JS.compile(`^(?:${expression})`, RE2JS.DOTALL).matcher(value);
  return matcher.find() ? matcher.end() : 0;
}

/** Linear where a search from each character on would not be: text and pattern are read backwards. */
function withoutSuffix(value: string, pattern: string, extent: Extent): string {
  const backwards = (text: string) => Array.from(text).toReversed().join('');
  const parts = partsOf(pattern).toReversed().join('');
  const reversed = backwards(value);
  return backwards(reversed.slice(prefixOf(reversed, parts, extent)));
}

/** `*`, `?`, `[…]`, `\x` and single characters, each on its own. */
function partsOf(pattern: string): string[] {
  return pattern.match(/\\.|\[[!^]?\]?[^\]]*\]|./gsu) ?? [];
}

function expressionOf(pattern: string, extent: Extent): string | undefined {
  if (pattern === '') return undefined;
  return partsOf(pattern)
    .map((part) => {
      if (part === '*') return extent === 'longest' ? '.*' : '.*?';
      if (part === '?') return '.';
      if (part.length < 3 || part[0] !== '[') return RE2JS.quote(part.replace(/^\\(.)/su, '$1'));
      const [, not, members = ''] = /^\[([!^]?)(.*)\]$/s.exec(part) ?? [];
      return setOf(members, not ? 'all others' : 'these');
    })
    .join('');
}

/** A set of characters. A range that runs backwards holds none, as in bash; an expression must not have one. */
function setOf(members: string, which: 'these' | 'all others'): string {
  const code = (char: string | undefined) => char?.codePointAt(0) ?? 0;
  const ranges = (members.match(/.-.|./gsu) ?? []).map((part) => {
    const [from, , to = from] = part;
    return [code(from), code(to)] as const;
  });
  const set = ranges
    .filter(([from, to]) => from <= to)
    .map(([from, to]) => `\\x{${from.toString(16)}}-\\x{${to.toString(16)}}`)
    .join('');
  if (set === '') return which === 'these' ? '[^\\x{0}-\\x{10ffff}]' : '.';
  return which === 'these' ? `[${set}]` : `[^${set}]`;
}
