import { planBuild } from '../../../src/workflow/build-plan.ts';
import { oneOf, textOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

const pieces = [
  words('" \' ` \\ \\" \\\' || ) ( # // /* ${X} $ { } 0 12 true nil a % &a'),
  ['\n', '\r', '\u2028', '\u0007', 'ü', '\u{1f600}', '\u007f', ' ', ': ', '- ', '\n  - name: evil\n'],
  ['"', "'", '`'].flatMap((quote) => [`${quote} || true || ${quote}`, `${quote} || true || "`]),
].flat();

/** Conditions that hold exactly when the variable X is the text that was sent as Y. */
const conditions = [
  '"${X}" == Y',
  "'${X}' == Y",
  'Y == ("" + "${X}")',
  '["${X}"] == [Y]',
  'X == Y && "${X}" startsWith Y',
];

/** Commit messages, names of branches and the like, where workflows use them. */
export const injections: Target<{ readonly condition: string; readonly value: string }> = {
  name: 'injections',
  promise: 'what a variable holds is a text in a condition and a value of a workflow, whatever it looks like',
  rounds: 4000,
  outcomes: ['text'],
  cases: [],
  open: () => ({
    make: (random) => ({ condition: oneOf(random, conditions), value: textOf(random, pieces, 8) }),
    check: ({ condition, value }) => {
      for (const [other, wanted] of [
        [value, 1],
        [`${value}x`, 0],
      ] as const) {
        const planned = planBuild([{ file: 'w.yaml', text: workflowOf(condition) }], {
          variables: { X: value, Y: other },
          platform: 'linux/amd64',
          cron: undefined,
          changed: undefined,
          where: 'service',
        });
        const steps = planned.kind === 'build' ? planned.build.workflows.flatMap((each) => each.steps) : [];
        const names = steps.map(({ name }) => name).join(' ');
        const expected = wanted === 1 ? 'always asked' : 'always';
        if (names !== expected) throw new Error(`the steps are ${names}, not ${expected}`);
        const given = steps[0]?.environment['V'];
        if (given !== `<${value}>`) throw new Error(`the value became ${JSON.stringify(given)}`);
      }
      return 'text';
    },
  }),
};

function workflowOf(condition: string): string {
  return JSON.stringify({
    image: 'a',
    steps: [
      { name: 'always', commands: ['true'], environment: { V: '<${X}>' } },
      { name: 'asked', commands: ['true'], when: { evaluate: condition } },
    ],
  });
}
