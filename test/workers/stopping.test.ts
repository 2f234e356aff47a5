import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createStopping } from '../../workers/stopping.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** `told`: a signal. `wait`: the time to drain passes. */
const told = 'told';
const wait = 'wait';

test.for([
  [[], 'working'],
  [[told], 'draining'],
  [[told, wait], 'giving-back'],
  [[told, told], 'canceling'],
  // Why builds were ended stays.
  [[told, wait, told], 'giving-back'],
  [[told, told, wait], 'canceling'],
  [[told, told, told], 'canceling'],
] as const)('after %j a worker is %s', ([events, stage]) => {
  const stopping = createStopping(10_000);
  const ends: string[] = [];
  stopping.ending.addEventListener('abort', () => ends.push(stopping.stage));
  for (const event of events) {
    if (event === told) stopping.told();
    else vi.advanceTimersByTime(10_000);
  }
  expect(stopping.stage).toBe(stage);
  expect(ends).toEqual(stage === 'giving-back' || stage === 'canceling' ? [stage] : []);
});

test('nothing is ended any more when all builds are through', () => {
  const stopping = createStopping(10_000);
  stopping.told();
  stopping.release();
  vi.advanceTimersByTime(20_000);
  expect(stopping.ending.aborted).toBe(false);
});
