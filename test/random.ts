/** Numbers from 0 to below 1, the same for the same seed (mulberry32), so that what failed can be run again. */
export function fractionsFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Whole numbers from 0 to less than `below`, the same for the same seed. */
export function randomFrom(seed: number): (below: number) => number {
  const next = fractionsFrom(seed);
  return (below) => (next() * 2 ** 32) % below;
}

/** Repeatable decisions: the same seed decides the same, though processes still race as they like. */
export function createRandom(seed: number) {
  const next = fractionsFrom(seed);
  const between = (least: number, most: number): number => least + Math.floor(next() * (most - least + 1));
  return {
    /** A whole number, both ends included. */
    between,
    chance: (probability: number): boolean => next() < probability,
    pick: <T>(items: readonly [T, ...T[]]): T => items[between(0, items.length - 1)] ?? items[0],
  };
}

export type Random = ReturnType<typeof createRandom>;
