import type { BuildSpec } from '../spec.ts';

/** Labels as scripts compare them: JSON with sorted names, '' for none. */
export function canonicalLabels(labels: Readonly<Record<string, string>>): string {
  const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? '' : JSON.stringify(Object.fromEntries(entries));
}

/** Where a build stands in the queue: project, score (the smallest first), labels, group, worker to keep away from. */
export function placeOf({ project, priority, labels, group }: BuildSpec): string {
  return JSON.stringify([project, 9 - priority, canonicalLabels(labels), group ?? '', '']);
}
