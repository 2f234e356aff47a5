import { ExpressionError } from './expression.ts';

export type Token =
  | { readonly kind: 'string'; readonly text: string; readonly at: number }
  | { readonly kind: 'number'; readonly value: number; readonly at: number }
  | { readonly kind: 'word'; readonly text: string; readonly at: number }
  | { readonly kind: 'sign'; readonly text: string; readonly at: number }
  | { readonly kind: 'end'; readonly at: number };

const signs = /^(\?\?|\?\.|\.\.|\*\*|&&|\|\||==|!=|<=|>=|[-+*/%^<>!?:,.#|()[\]{}])/;

/** Reads an expression's words and signs. Throws ExpressionError. */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at, at + 65_536);
    const skipped = /^(\s+|\/\/.*|\/\*[^]*?\*\/)/.exec(rest)?.[0].length ?? 0;
    if (skipped > 0) {
      at += skipped;
      continue;
    }
    const number = /^\d[\d_]*(\.\d+)?([eE][+-]?\d+)?(?!\w)/.exec(rest)?.[0];
    const word = /^[A-Za-z_$]\w*/.exec(rest)?.[0];
    const sign = signs.exec(rest)?.[0];
    if (/^["'`]/.test(rest)) {
      const [value, length] = stringAt(rest, at);
      tokens.push({ kind: 'string', text: value, at });
      at += length;
    } else if (number !== undefined) {
      tokens.push({ kind: 'number', value: Number(number.replaceAll('_', '')), at });
      at += number.length;
    } else if (word !== undefined) {
      tokens.push({ kind: 'word', text: word, at });
      at += word.length;
    } else if (sign !== undefined) {
      tokens.push({ kind: 'sign', text: sign, at });
      at += sign.length;
    } else throw new ExpressionError(`'${rest.slice(0, 1)}' at character ${at + 1} means nothing here`);
  }
  return [...tokens, { kind: 'end', at: text.length }];
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', 0: '\0' };

function stringAt(rest: string, at: number): [string, number] {
  const raw = /^`([^`]*)`/.exec(rest);
  if (raw) return [raw[1] ?? '', raw[0].length];
  const [whole, , body = ''] = /^(["'])((?:\\[^]|(?!\1)[^\\])*)\1/.exec(rest) ?? [];
  if (whole === undefined)
    throw new ExpressionError(`the text that begins at character ${at + 1} does not end`);
  const text = body.replace(/\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([^]))/g, (_, u, x, char: string) => {
    const code: string | undefined = u ?? x;
    return code === undefined ? (escapes[char] ?? char) : String.fromCharCode(Number.parseInt(code, 16));
  });
  return [text, whole.length];
}
