import { afterAll, beforeAll, expect, test } from 'vitest';
import { census, expectSameCensus } from '../census.ts';
import { type Bench, createBench } from './bench.ts';
import { bombs, explode } from './bombs.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await createBench();
  // The first one makes directories that are there to stay.
  await bench.script('true');
});
afterAll(() => bench[Symbol.asyncDispose]());

test.each(bombs)('a build that takes $takes ends as $verdict, and leaves nothing', async (bomb) => {
  const before = census(bench.dataDir);
  const { exit } = await explode(bench, bomb);
  expect(exit.reason).toBe(bomb.verdict);
  await expectSameCensus(bench.dataDir, before);
});
