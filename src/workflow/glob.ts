import { RE2JS } from 're2js';

/** A pattern that cannot be read; the message says why. */
export class GlobError extends Error {
  override readonly name = 'GlobError';
}

/** Whether names that begin with a dot are like others (`any`), or matched only by a dot, as in a shell. */
export type Dotfiles = 'any' | 'explicit';

type Matcher = (text: string) => boolean;

/** Matchers of the globs that were asked for last: compiling one takes as long as matching a thousand names. */
const recent = new Map<string, Matcher>();
const mostRecent = 500;

/**
 * Compiles a glob over `/`-separated names: `*`, `?`, `[a-z]`, `[!a-z]` within a name, `**` over any number of
 * names, `{a,b}`, `\x` for x itself. Takes time linear in the text, whatever the pattern: both may be a stranger's, and
 * backtracking would stop the whole process. Throws GlobError.
 */
export function compileGlob(glob: string, dotfiles: Dotfiles): Matcher {
  if (!/[*?[{\\]/.test(glob)) return (text) => text === glob;
  const key = `${dotfiles} ${glob}`;
  const matcher = recent.get(key) ?? compile(glob, dotfiles);
  recent.delete(key);
  recent.set(key, matcher);
  const [oldest] = recent.keys();
  if (recent.size > mostRecent && oldest !== undefined) recent.delete(oldest);
  return matcher;
}

/** Most globs are `release/*` or `src/**`, for which making an expression takes longer than all its uses. */
function simpleMatcher(glob: string): Matcher | undefined {
  const [, before = '', stars, after = ''] = /^([^*?[{\\]*)(\*+)([^*?[{\\]*)$/.exec(glob) ?? [];
  if (stars === '*') {
    return (text) =>
      text.length >= before.length + after.length &&
      text.startsWith(before) &&
      text.endsWith(after) &&
      !text.slice(before.length, text.length - after.length).includes('/');
  }
  if (stars !== '**' || after !== '' || !/[^/]\/$/.test(before)) return undefined;
  return (text) =>
    text === before.slice(0, -1) || (text.startsWith(before) && !text.includes('//', before.length - 1));
}

function compile(glob: string, dotfiles: Dotfiles): Matcher {
  const simple = dotfiles === 'any' ? simpleMatcher(glob) : undefined;
  if (simple) return simple;
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(expressionOf(glob, dotfiles), RE2JS.DOTALL);
  } catch (error) {
    if (error instanceof GlobError) throw error;
    throw new GlobError(`the pattern '${glob}' cannot be read`, { cause: error });
  }
  return (text) => compiled.matches(text);
}

/** The directory that everything lies in which a glob matches; '' when it can be anywhere. */
export function baseOf(glob: string): string {
  const names = glob.split('/');
  const special = names.findIndex((name) => /[*?[{]/.test(name.replace(/\\./g, '')));
  return names
    .slice(0, special === -1 ? names.length : special)
    .join('/')
    .replace(/\\(.)/g, '$1');
}

const name = '[^/]';

function expressionOf(glob: string, dotfiles: Dotfiles): string {
  // At the start of a name; RE2 cannot look ahead.
  const first = dotfiles === 'any' ? name : '[^/.]';
  const whole = `(?:${first}${name}*)`;
  const anywhere = `(?:${whole}/)*${whole}?`;
  /** For each open brace: whether it stands at the start of a name. */
  const braces: boolean[] = [];
  let expression = '';
  let starts = true;

  for (let at = 0; at < glob.length; ) {
    const rest = glob.slice(at);
    const ends = braces.length > 0 ? /^[,}]|^$/ : /^$/;
    const stars = /^\*+/.exec(rest)?.[0].length ?? 0;
    if (rest.startsWith('/**') && ends.test(rest.slice(3))) {
      expression += `(?:/${anywhere})?`;
      at += 3;
      starts = false;
    } else if (starts && rest.startsWith('**/')) {
      expression += `(?:${whole}/)*`;
      at += 3;
    } else if (stars > 0) {
      const deep = starts && stars === 2 && ends.test(rest.slice(2));
      expression += deep ? anywhere : starts ? `${whole}?` : `${name}*`;
      at += stars;
      starts = false;
    } else if (rest.startsWith('?')) {
      expression += starts ? first : name;
      at += 1;
      starts = false;
    } else if (rest.startsWith('[')) {
      const [set, length] = setAt(glob, rest);
      expression += set;
      at += length;
      starts = false;
    } else if (rest.startsWith('{')) {
      braces.push(starts);
      expression += '(?:';
      at += 1;
    } else if (braces.length > 0 && rest.startsWith(',')) {
      expression += '|';
      at += 1;
      starts = braces.at(-1) ?? false;
    } else if (braces.length > 0 && rest.startsWith('}')) {
      braces.pop();
      expression += ')';
      at += 1;
    } else {
      const escaped = rest.startsWith('\\');
      const code = rest.codePointAt(escaped ? 1 : 0);
      if (code === undefined) throw new GlobError(`the pattern '${glob}' ends with \\`);
      const literal = String.fromCodePoint(code);
      expression += RE2JS.quote(literal);
      at += literal.length + (escaped ? 1 : 0);
      starts = literal === '/';
    }
  }
  if (braces.length > 0) throw new GlobError(`the pattern '${glob}' has a { without }`);
  return expression;
}

/** `[a-z]`, `[!a-z]`, `[^a-z]` at the start of a text: an expression that matches no slash, and its length there. */
function setAt(glob: string, text: string): [string, number] {
  const [whole, not, members] = /^\[([!^]?)(\]?(?:\\.|[^\]\\])*)\]/s.exec(text) ?? [];
  if (whole === undefined || !members) throw new GlobError(`the pattern '${glob}' has a [ without ]`);
  const quoted = members.replace(/\\?([!-,./:-@[-`{-~])/g, '\\$1');
  return [not ? `[^/${quoted}]` : `[${quoted}]`, whole.length];
}
