import { createMask } from '../../../workers/log/mask.ts';
import { maskedForms } from '../../../workers/log/masked-forms.ts';
import { plainly } from '../../workers/log/plain-mask.ts';
import { oneOf, textOf } from '../mutate.ts';
import type { Target } from '../target.ts';

interface Output {
  readonly secrets: readonly string[];
  readonly text: Buffer;
  /** Where the output is cut into chunks. */
  readonly chunk: number;
}

/** Few letters make secrets that overlap others and themselves. */
const alphabets = [
  'ab',
  'a',
  'abc\n ',
  'abcdefghijklmnopqrstuvwxyzAB/+="\\ü\n\r%$\'&<>',
  '0123456789abcdef',
  'ü\u{1f600}é',
];

/** What keeps secrets out of logs, against one that looks at each place for each form. */
export const masks: Target<Output> = {
  name: 'masks',
  promise: 'however the output is cut, every form of a secret is masked and nothing else is changed',
  rounds: 1200,
  outcomes: ['masked', 'nothing to mask'],
  cases: [],
  open: () => ({
    make: (random) => {
      const letters = Array.from(oneOf(random, alphabets));
      const word = (least: number, most: number) =>
        Array.from({ length: random.between(least, most) }, () => oneOf(random, letters)).join('');
      const secrets = Array.from({ length: random.between(1, 4) }, () =>
        word(8, random.chance(0.5) ? 14 : 90),
      );
      const forms = secrets.flatMap(maskedForms);
      const part = () => {
        const form = forms.length > 0 ? oneOf(random, forms) : Buffer.alloc(0);
        return oneOf(random, [
          () => form,
          () => form.subarray(0, random.between(0, form.length)),
          () => form.subarray(random.between(0, form.length)),
          () => Buffer.from(word(0, 9)),
          () => Buffer.from(textOf(random, ['\0', '\xff', '\n', '********'], 4), 'latin1'),
        ])();
      };
      const text = Buffer.concat(Array.from({ length: random.between(0, 40) }, part));
      return { secrets, text, chunk: oneOf(random, [1, 2, 7, 300, 100_000]) };
    },
    check: ({ secrets, text, chunk }) => {
      const parts: Buffer[] = [];
      const { write, end } = createMask(secrets).stream((part) => void parts.push(part));
      for (let at = 0; at < text.length; at += chunk) void write(text.subarray(at, at + chunk));
      void end();
      const shown = Buffer.concat(parts).toString('latin1');
      const expected = plainly(secrets, text);
      if (shown !== expected)
        throw new Error(`masked to ${JSON.stringify(shown)}, not ${JSON.stringify(expected)}`);
      return shown === text.toString('latin1') ? 'nothing to mask' : 'masked';
    },
  }),
};
