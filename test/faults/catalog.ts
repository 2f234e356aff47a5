import { apiFaults } from './api-faults.ts';
import { platformFaults } from './platform-faults.ts';
import { redisFaults } from './redis-faults.ts';
import type { Fault } from './scene.ts';
import { together } from './together.ts';
import { workerFaults } from './worker-faults.ts';

/** All that the suite can do, in the order of the threat model. */
export const catalog: readonly Fault[] = [
  ...workerFaults,
  ...redisFaults,
  ...apiFaults,
  ...platformFaults,
].sort((a, b) => Number.parseInt(a.id.slice(1), 10) - Number.parseInt(b.id.slice(1), 10));

/** One fault, or several of them joined by `+`. Throws RangeError for one that does not exist. */
export function pickFaults(words: string): Fault {
  const [first = '', ...more] = words.split('+');
  return together([pick(first), ...more.map(pick)]);
}

function pick(id: string): Fault {
  const found = catalog.find((fault) => fault.id === id);
  if (!found) throw new RangeError(`there is no ${id}, only ${catalog.map((fault) => fault.id).join(', ')}`);
  return found;
}
