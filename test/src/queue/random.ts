import { fractionsFrom } from '../../random.ts';

/** Repeatable decisions, so that a failing run can be run again by its seed. */
export function createRandom(seed: number) {
  const next = fractionsFrom(seed);
  return {
    chance: (probability: number): boolean => next() < probability,
    below: (limit: number): number => Math.floor(next() * limit),
    pick: <T>(items: readonly T[]): T | undefined => items[Math.floor(next() * items.length)],
  };
}

export type Random = ReturnType<typeof createRandom>;
