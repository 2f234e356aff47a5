import { expect, test } from 'vitest';
import { campaigns } from './catalog.ts';
import { watch } from './watch.ts';

// The same inputs every time: `npm run fuzz` tries others, for as long as one likes.
const seed = 1;
/** Far more than it takes: a slow machine tries fewer, and does not fail. */
const milliseconds = 20_000;

test.each([...campaigns].map(([name, { promise }]) => [name, promise]))(
  '%s: %s',
  async (name) => {
    const { rounds = 0, outcomes = [] } = campaigns.get(name) ?? {};
    const report = await watch(name, { seed, rounds, milliseconds });
    if (report.kind === 'broken') throw new Error(`${report.reason}\nseed ${report.seed}: ${report.smaller}`);
    expect(Object.keys(report.seen)).toEqual(expect.arrayContaining([...outcomes]));
  },
  90_000,
);
