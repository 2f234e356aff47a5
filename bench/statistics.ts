/** Whether a small number is a good one. */
export type Better = 'less' | 'more';

/** The middle one of the samples, or the mean of the two in the middle. Throws RangeError without samples. */
export function median(samples: readonly number[]): number {
  const sorted = ascending(samples);
  return (at(sorted, Math.floor((sorted.length - 1) / 2)) + at(sorted, Math.floor(sorted.length / 2))) / 2;
}

/** What 99 of 100 samples are at least as good as (nearest rank): of fewer than 100, the worst one. */
export function p99(samples: readonly number[], better: Better): number {
  const sorted = ascending(samples);
  const rank = Math.ceil(0.99 * sorted.length) - 1;
  return at(sorted, better === 'less' ? rank : sorted.length - 1 - rank);
}

/** Our cost divided by the peer's, by medians: 2 is twice as slow, 0.5 is twice as fast. */
export function costRatio(ours: readonly number[], peer: readonly number[], better: Better): number {
  return better === 'less' ? median(ours) / median(peer) : median(peer) / median(ours);
}

function ascending(samples: readonly number[]): number[] {
  return [...samples].sort((a, b) => a - b);
}

function at(sorted: readonly number[], index: number): number {
  const value = sorted[index];
  if (value === undefined) throw new RangeError('no samples');
  return value;
}
