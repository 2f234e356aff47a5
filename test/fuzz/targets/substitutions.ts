import { substitute } from '../../../src/workflow/substitution.ts';
import { textOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

const pieces = [
  words('${ } $ $$ ${A} ${B :- :+ ## # % %% / // /# , ,, ^^ * ? [ ] [a- \\ \\/ : :1:2 A B UNKNOWN -'),
  [': -1', ' ', '\n', 'é', '\ud800'],
].flat();
const variables: Readonly<Record<string, string>> = { A: 'a/b/c.tar.gz', B: '', C: '${A}$$', __proto__: 'x' };

/** `${…}` in workflow files. */
export const substitutions: Target<string> = {
  name: 'substitutions',
  promise: 'any text has a result; one without ${ that is known stays, and values are not looked at again',
  rounds: 8000,
  outcomes: ['replaced', 'same'],
  cases: ['${A%[z-a]}', '${A##[!z-a]x}'],
  open: () => ({
    make: (random) => textOf(random, pieces, 14),
    check: (text) => {
      const known = new Set<string>();
      const lookup = (name: string) => {
        known.add(name);
        return Object.hasOwn(variables, name) ? variables[name] : undefined;
      };
      const result = substitute(text, lookup);
      if (substitute(text, () => undefined) !== text.replace(/\$\$(?=[{A-Za-z_])/g, '$'))
        throw new Error('a text without known names changed');
      const marked = substitute('${A}', (name) => (name === 'A' ? text : undefined));
      if (marked !== text) throw new Error(`a value was looked at again: ${JSON.stringify(marked)}`);
      return result === text ? 'same' : 'replaced';
    },
  }),
};
