import { expect, test } from 'vitest';
import { planBuild } from '../../../src/workflow/build-plan.ts';
import { WorkflowError } from '../../../src/workflow/problem.ts';
import { pushWith } from './planned.ts';

const long = pushWith({ CI_COMMIT_MESSAGE: 'a'.repeat(32_000) });

/** The messages about files, and the processor time and memory that they took. */
function judge(texts: readonly string[]): { messages: string[]; seconds: number } {
  const before = process.threadCpuUsage().user;
  const messages = new Set<string>();
  try {
    planBuild(
      texts.map((text, n) => ({ file: `${n}.yaml`, text })),
      long,
    );
  } catch (error) {
    if (!(error instanceof WorkflowError)) throw error;
    for (const { message } of error.problems) messages.add(message);
  }
  return { messages: [...messages], seconds: (process.threadCpuUsage().user - before) / 1e6 };
}

const tooLong = 'variables make the workflow files longer than 16 MiB';
const steps = (step: string) => `steps: [${`${step}, `.repeat(900)}]`;

test.each([
  ['in commands', steps('{ image: a, commands: ["${CI_COMMIT_MESSAGE}"] }')],
  ['in values', steps('{ image: a, environment: { A: "${CI_COMMIT_MESSAGE}" } }')],
  ['by replacement', steps(`{ image: a, commands: ["\${CI_COMMIT_MESSAGE//a/${'b'.repeat(900)}}"] }`)],
  ['in one text', `steps: [{ image: a, commands: ["${'${CI_COMMIT_MESSAGE}'.repeat(900)}"] }]`],
  [
    'in an expression',
    `steps: [{ image: a, when: { evaluate: '${'"${CI_COMMIT_MESSAGE}" + '.repeat(600)}""' } }]`,
  ],
  [
    'over a matrix',
    `matrix: { A: [${Array.from({ length: 256 }, (_, n) => n).join()}] }\nsteps: [{ image: a, environment: { A: "\${CI_COMMIT_MESSAGE}", B: "\${CI_COMMIT_MESSAGE}", C: "\${CI_COMMIT_MESSAGE}" } }]`,
  ],
])('long values cannot fill the memory: %s', { timeout: 60_000 }, (_, text) => {
  const { messages, seconds } = judge([text]);
  expect(messages).toContain(tooLong);
  expect(seconds).toBeLessThan(10);
});

test('as much as a build needs has room', () => {
  expect(judge([`steps: [{ image: a, environment: { A: "\${CI_COMMIT_MESSAGE}" } }]`]).messages).toEqual([]);
});

test('files cannot be many and long', { timeout: 60_000 }, () => {
  const text = (count: number, value: string) =>
    `variables: [${`${value}, `.repeat(count)}]\nsteps: [{ image: a }]`;
  const many = (count: number, each: string) => judge(Array.from({ length: count }, () => each)).messages;
  expect(many(4, text(90_000, 'a'))).toEqual([]);
  expect(many(6, text(90_000, 'a'))).toEqual([
    'the workflow files come to more than 500,000 values, each combination of a matrix counted',
  ]);
  expect(many(6, text(1000, 'a'.repeat(900)))).toEqual(['the workflow files have more than 4 MiB together']);
});
