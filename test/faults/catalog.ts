import { apiFaults } from './api-faults.ts';
import { platformFaults } from './platform-faults.ts';
import { redisFaults } from './redis-faults.ts';
import type { Fault } from './scene.ts';
import { workerFaults } from './worker-faults.ts';

/** All that the suite can do, in the order of the threat model. */
export const catalog: readonly Fault[] = [
  ...workerFaults,
  ...redisFaults,
  ...apiFaults,
  ...platformFaults,
].sort((a, b) => Number.parseInt(a.id.slice(1), 10) - Number.parseInt(b.id.slice(1), 10));
