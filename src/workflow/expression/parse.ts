import { type Expression, ExpressionError } from './expression.ts';
import { type Token, tokensOf } from './tokens.ts';

/** How tightly binary operators bind, as in expr-lang; all but `**` from the left. */
const strength: ReadonlyMap<string, number> = new Map([
  ['|', 0],
  ['or', 10],
  ['||', 10],
  ['and', 15],
  ['&&', 15],
  ['==', 20],
  ['!=', 20],
  ['<', 20],
  ['>', 20],
  ['<=', 20],
  ['>=', 20],
  ['in', 20],
  ['matches', 20],
  ['contains', 20],
  ['startsWith', 20],
  ['endsWith', 20],
  ['..', 25],
  ['+', 30],
  ['-', 30],
  ['*', 60],
  ['/', 60],
  ['%', 60],
  ['**', 100],
  ['^', 100],
  ['??', 500],
]);
const negationStrength = 50;
const signStrength = 90;
/** Operators that `not` may stand before. */
const negatable = ['in', 'matches', 'contains', 'startsWith', 'endsWith'];
const constants: Readonly<Record<string, boolean | null>> = { true: true, false: false, nil: null };

/** Deeper nesting is no condition any more, and would overflow the stack. */
const deepest = 100;

/** Throws ExpressionError. */
export function parseExpression(text: string): Expression {
  const tokens = tokensOf(text);
  let next = 0;
  let depth = 0;

  const peek = (): Token => tokens[next] ?? { kind: 'end', at: text.length };
  const isNext = (...texts: readonly string[]): boolean => {
    const token = peek();
    return (token.kind === 'sign' || token.kind === 'word') && texts.includes(token.text);
  };
  const take = (sign: string): boolean => {
    if (!isNext(sign)) return false;
    next++;
    return true;
  };
  const expect = (sign: string): void => {
    if (!take(sign)) throw unexpected(`'${sign}'`);
  };
  const unexpected = (wanted: string): ExpressionError => {
    const token = peek();
    if (token.kind === 'end') return new ExpressionError(`it ends where ${wanted} should stand`);
    const found = text.slice(token.at, token.at + 20);
    return new ExpressionError(`'${found}' at character ${token.at + 1} stands where ${wanted} should`);
  };

  const expression = (): Expression => {
    if (++depth > deepest) throw new ExpressionError('it is nested too deeply');
    let result = binary(0);
    while (take('?')) {
      const yes = isNext(':') ? result : expression();
      expect(':');
      result = { kind: 'choice', test: result, yes, no: expression() };
    }
    depth--;
    return result;
  };

  const binary = (least: number): Expression => {
    let left = unary();
    for (;;) {
      const not = isNext('not') && negates(tokens[next + 1]);
      const token = tokens[next + (not ? 1 : 0)];
      const operator = token?.kind === 'sign' || token?.kind === 'word' ? token.text : '';
      const power = strength.get(operator);
      if (power === undefined || power < least) return left;
      next += not ? 2 : 1;
      if (operator === '|') {
        left = piped(left);
        continue;
      }
      const right = binary(operator === '**' || operator === '^' ? power : power + 1);
      const joined: Expression = { kind: 'binary', operator, left, right };
      left = not ? { kind: 'not', of: joined } : joined;
    }
  };

  /** `value | call(x)` is `call(value, x)`. */
  const piped = (value: Expression): Expression => {
    const call = postfix(primary());
    if (call.kind !== 'call') throw unexpected('a call');
    return { ...call, args: [value, ...call.args] };
  };

  const unary = (): Expression => {
    if (++depth > deepest) throw new ExpressionError('it is nested too deeply');
    let result: Expression;
    if (take('not') || take('!')) result = { kind: 'not', of: binary(negationStrength) };
    else if (take('-')) result = { kind: 'minus', of: binary(signStrength) };
    else if (take('+')) result = binary(signStrength);
    else result = postfix(primary());
    depth--;
    return result;
  };

  const primary = (): Expression => {
    const token = peek();
    next++;
    if (token.kind === 'string') return { kind: 'literal', value: token.text };
    if (token.kind === 'number') return { kind: 'literal', value: token.value };
    if (token.kind === 'word') return word(token.text);
    if (token.kind === 'sign') {
      if (token.text === '#') return { kind: 'element' };
      if (token.text === '[') return { kind: 'list', items: listUpTo(']') };
      if (token.text === '(' || token.text === '{') {
        const inner = expression();
        expect(token.text === '(' ? ')' : '}');
        return inner;
      }
    }
    next--;
    throw unexpected('a value');
  };

  const word = (name: string): Expression => {
    if (take('(')) return { kind: 'call', name, args: listUpTo(')') };
    if (Object.hasOwn(constants, name)) return { kind: 'literal', value: constants[name] ?? null };
    return { kind: 'variable', name };
  };

  const postfix = (start: Expression): Expression => {
    let result = start;
    for (;;) {
      if (take('[')) {
        const from = isNext(':') ? undefined : expression();
        if (take(':')) {
          const to = isNext(']') ? undefined : expression();
          result = { kind: 'slice', of: result, from, to };
        } else if (from) result = { kind: 'index', of: result, at: from };
        expect(']');
      } else return result;
    }
  };

  const listUpTo = (end: string): Expression[] => {
    const items: Expression[] = [];
    while (!take(end)) {
      items.push(expression());
      if (!isNext(end)) expect(',');
    }
    return items;
  };

  const whole = expression();
  if (peek().kind !== 'end') throw unexpected('an operator');
  return whole;
}

function negates(token: Token | undefined): boolean {
  return token?.kind === 'word' && negatable.includes(token.text);
}
