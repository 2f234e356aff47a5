/** The thread in which a campaign runs: one that never ends must not keep anybody from saying so. */
import { parentPort, workerData } from 'node:worker_threads';
import { campaigns } from './catalog.ts';
import type { Assignment } from './watch.ts';

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what watch.ts sends
const { name, budget, rounds } = workerData as Assignment;
const campaign = campaigns.get(name);
if (!campaign) throw new Error(`there is no target ${name}`);
const report = await campaign.run(budget, (round) => void Atomics.store(rounds, 0, round));
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is of windows; this is a thread
parentPort?.postMessage(report);
