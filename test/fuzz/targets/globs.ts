import { compileGlob, type Dotfiles, GlobError } from '../../../src/workflow/glob.ts';
import { oneOf, textOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

interface Question {
  readonly glob: string;
  readonly text: string;
  readonly dotfiles: Dotfiles;
}

const globPieces = words('a b . / * ** ? /** **/ [ab] [!a] [a-c] []] \\* { , } {a,b/} ü');
const textPieces = [...words('a b ab . / * ] ü c'), '\n'];

/** Patterns of artifacts, branches and paths, against a matcher that tries every way: slow, and plainly right. */
export const globs: Target<Question> = {
  name: 'globs',
  promise: 'a glob matches what its words say, or is a GlobError, in linear time',
  rounds: 8000,
  outcomes: ['matches', 'does not match', 'refused'],
  cases: [],
  open: () => ({
    make: (random) => ({
      glob: textOf(random, globPieces, 7),
      text: textOf(random, textPieces, 6),
      dotfiles: oneOf(random, ['any', 'explicit'] as const),
    }),
    check: ({ glob, text, dotfiles }) => {
      let result: boolean;
      try {
        result = compileGlob(glob, dotfiles)(text);
      } catch (error) {
        if (error instanceof GlobError) return 'refused';
        throw error;
      }
      // Texts that are no paths may be matched or not: a star stands for a name, which is not empty. Next to a
      // brace that begins or ends a name in some of its alternatives only, `{a,b/}*`, stars are read as in the last one.
      const isPath = text.split('/').every((name) => name !== '');
      if (isPath && !/[/,{*][,}]|\*\{/.test(glob)) {
        const expected = alternatives(glob).some((each) => matches(each, text, dotfiles));
        if (result !== expected) throw new Error(`${result}, and should be ${expected}`);
      }
      return result ? 'matches' : 'does not match';
    },
  }),
};

/** A glob without braces, as a list of tokens: a character, or a sign with its text. */
type Token = { readonly kind: 'char' | 'any' | 'star' | 'deep' | 'set'; readonly text: string };

function alternatives(glob: string): Token[][] {
  let open: Token[][] = [[]];
  const read = (at: number, inBrace: boolean): { readonly ends: Token[][]; readonly at: number } => {
    let here = open;
    const done: Token[][] = [];
    for (let i = at; i < glob.length; ) {
      const rest = glob.slice(i);
      if (inBrace && rest[0] === '}') return { ends: [...done, ...here], at: i + 1 };
      if (inBrace && rest[0] === ',') {
        done.push(...here);
        here = open;
        i++;
      } else if (rest[0] === '{') {
        const before = open;
        open = here;
        const inner = read(i + 1, true);
        open = before;
        here = inner.ends;
        i = inner.at;
      } else {
        const [token, length] = tokenAt(rest);
        here = here.map((tokens) => [...tokens, token]);
        i += length;
      }
    }
    return { ends: here, at: glob.length };
  };
  open = read(0, false).ends;
  return open;
}

function tokenAt(rest: string): [Token, number] {
  const stars = /^\*+/.exec(rest)?.[0] ?? '';
  if (stars !== '') return [{ kind: stars.length === 2 ? 'deep' : 'star', text: stars }, stars.length];
  if (rest.startsWith('?')) return [{ kind: 'any', text: '?' }, 1];
  const set = /^\[[!^]?\]?(?:\\.|[^\]\\])*\]/s.exec(rest)?.[0];
  if (set !== undefined) return [{ kind: 'set', text: set }, set.length];
  const text = rest.startsWith('\\') ? rest.slice(1, 2) : rest.slice(0, 1);
  return [{ kind: 'char', text }, rest.startsWith('\\') ? 2 : 1];
}

function matches(tokens: readonly Token[], text: string, dotfiles: Dotfiles): boolean {
  const flat = tokens.map(({ text: written }) => written);
  const startsName = (at: number) => at === 0 || (tokens[at - 1]?.kind === 'char' && flat[at - 1] === '/');
  const endsName = (at: number) => at === tokens.length || (tokens[at]?.kind === 'char' && flat[at] === '/');
  const hidden = (at: number) =>
    dotfiles === 'explicit' && text[at] === '.' && (at === 0 || text[at - 1] === '/');
  const go = (token: number, at: number): boolean => {
    const current = tokens[token];
    if (!current) return at === text.length;
    const char = text[at];
    if (current.kind === 'deep' && startsName(token) && endsName(token + 1)) {
      // Any number of whole names.
      const isLast = token + 1 === tokens.length;
      if (!isLast && go(token + 2, at)) return true;
      if (isLast && at === text.length) return true;
      if (hidden(at) || char === undefined) return false;
      const slash = text.indexOf('/', at);
      if (slash === -1) return isLast;
      return go(token, slash + 1);
    }
    if (current.kind === 'deep' || current.kind === 'star') {
      if (go(token + 1, at)) return true;
      return char !== undefined && char !== '/' && !(startsName(token) && hidden(at)) && go(token, at + 1);
    }
    if (char === undefined) return false;
    if (current.kind === 'char') return char === current.text && go(token + 1, at + 1);
    if (char === '/') return false;
    if (current.kind === 'any') return !(startsName(token) && hidden(at)) && go(token + 1, at + 1);
    return (
      new RegExp(`^${current.text.replace(/^\[!/, '[^').replace(/^(\[\^?)\]/, '$1\\]')}$`, 'su').test(char) &&
      go(token + 1, at + 1)
    );
  };
  // `a/**` matches `a` too; in `a/**/**` the slash belongs to the first of them.
  const [slash, last] = tokens.slice(-2);
  const deepBefore = tokens.at(-3)?.kind === 'deep' && startsName(tokens.length - 3);
  const isTail = slash?.text === '/' && last?.kind === 'deep' && !deepBefore;
  return (isTail && matches(tokens.slice(0, -2), text, dotfiles)) || go(0, 0);
}
