import { isTrue } from '../../../src/workflow/expression/evaluate.ts';
import { ExpressionError } from '../../../src/workflow/expression/expression.ts';
import { parseExpression } from '../../../src/workflow/expression/parse.ts';
import type { Random } from '../../random.ts';
import { mutateText, oneOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

const operators =
  '|| or && and == != < > <= >= in matches contains startsWith endsWith .. + - * / % ** ^ ?? |';
const atoms = words('1 0 -7 1.5 1e300 "a" \'b\' `c` true false nil X LIST # "(a+)+$"');
const calls =
  'any all none one filter map count len split join lower upper trim replace now keys toString abs max min';
const pieces = [...words(operators), ...atoms, ...words('( ) [ ] { } ? : , . \\ " \' ` $')];

/** Conditions of `when: evaluate`. */
export const expressions: Target<string> = {
  name: 'expressions',
  promise: 'any text is true, false or an ExpressionError, in bounded time',
  rounds: 6000,
  outcomes: ['true', 'false', 'refused'],
  cases: [],
  open: () => ({
    make: (random) => {
      const text = grow(random, 4);
      return random.chance(0.4) ? mutateText(random, text, pieces) : text;
    },
    check: (text) => {
      try {
        return String(isTrue(parseExpression(text), { X: 'aaaaaaaaaaaaaaaaaaaaaaaaab', LIST: 'a,b' }));
      } catch (error) {
        if (error instanceof ExpressionError && /\w/.test(error.message)) return 'refused';
        throw error;
      }
    },
  }),
};

function grow(random: Random, depth: number): string {
  if (depth === 0 || random.chance(0.15)) return oneOf(random, atoms);
  const part = () => grow(random, depth - 1);
  return oneOf(random, [
    () => `${part()} ${oneOf(random, words(operators))} ${part()}`,
    () => `(${part()})`,
    () => `not ${part()}`,
    () => `!(${part()} == ${part()})`,
    () => `[${part()}, ${part()}]`,
    () => `${part()}[${part()}]`,
    () => `${part()}[${part()}:${part()}]`,
    () => `${oneOf(random, words(calls))}(${part()}, ${part()})`,
    () => `${oneOf(random, words(calls))}(${part()}, # == ${part()})`,
    () => `${part()} | ${oneOf(random, words(calls))}(${part()})`,
    () => `${part()} ? ${part()} : ${part()}`,
    () => `${part()} not in [${part()}]`,
    () => `1..${oneOf(random, ['3', '1000', '1e9', 'X'])}`,
  ])();
}
