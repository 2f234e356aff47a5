import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { BuildRecord } from '../../../src/build.ts';
import { queuedRecord } from '../../../src/spec.ts';
import { createProgress } from '../../../workers/claim/progress.ts';
import { makeSpec } from '../../src/queue/specs.ts';

const queued = queuedRecord(makeSpec());

/** A state that can be told from others. */
const state = (number: number): BuildRecord => ({ ...queued, number });

/** A listener that takes its time: each call has to be let through. */
function listener() {
  const heard: (number | undefined)[] = [];
  let passed = Promise.withResolvers<void>();
  return {
    heard,
    write: (record: BuildRecord) => {
      heard.push(record.number);
      passed = Promise.withResolvers();
      return passed.promise;
    },
    pass: () => passed.resolve(),
    refuse: () => passed.reject(new Error('away')),
  };
}

test('the first state is told at once, of those that come meanwhile the newest', async () => {
  const { heard, write, pass } = listener();
  const progress = createProgress(write);
  for (const number of [1, 2, 3]) progress.report(state(number));
  expect(heard).toEqual([1]);
  pass();
  await expect.poll(() => heard).toEqual([1, 3]);
});

test('a state that cannot be told keeps no later one back', async () => {
  const { heard, write, refuse } = listener();
  const progress = createProgress(write);
  progress.report(state(1));
  refuse();
  progress.report(state(2));
  await expect.poll(() => heard).toEqual([1, 2]);
});

test('a state that cannot be told is told again, unless there is a newer one or an end', async () => {
  const { heard, write, pass, refuse } = listener();
  const progress = createProgress(write);
  progress.report(state(1));
  refuse();
  await expect.poll(() => heard).toEqual([1, 1]);
  progress.report(state(2));
  refuse();
  await expect.poll(() => heard).toEqual([1, 1, 2]);
  pass();
  progress.report(state(3));
  await expect.poll(() => heard).toEqual([1, 1, 2, 3]);
  progress.stop();
  refuse();
  await sleep(500);
  expect(heard).toEqual([1, 1, 2, 3]);
});

test('after stop() nothing is told', async () => {
  const { heard, write, pass } = listener();
  const progress = createProgress(write);
  progress.report(state(1));
  progress.report(state(2));
  progress.stop();
  progress.report(state(3));
  pass();
  await sleep(100);
  expect(heard).toEqual([1]);
});

test('after a rest the next state is told at once again', async () => {
  const { heard, write, pass } = listener();
  const progress = createProgress(write);
  progress.report(state(1));
  pass();
  await sleep(100);
  progress.report(state(2));
  expect(heard).toEqual([1, 2]);
});
