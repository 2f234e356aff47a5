// A worker to be killed: opens sandboxes on the data directory given, and never ends. Says `ready` before the first.
import { setTimeout as sleep } from 'node:timers/promises';
import { ext4Limits, lab, sh } from './lab.ts';

const dataDir = process.argv[2];
if (dataDir === undefined) throw new Error('usage: busy-worker.ts DATA-DIRECTORY');
const place = lab({ dataDir });
process.stdout.write('ready\n');

const network = { kind: 'egress' } as const;
const script =
  'seq 1 20000 > numbers; (setsid sleep 1000 &); (trap "" TERM; sleep 1000 &); seq 1 100000; sleep 1000';
const sandboxes = [
  {},
  { limits: ext4Limits },
  { workspace: { sources: [import.meta.dirname] } },
  { network },
].map((options) => place.open(options));
for (const sandbox of sandboxes) void sh(sandbox, script);
// Some that come and go meanwhile.
for (;;) {
  const sandbox = place.open({ network });
  await sh(sandbox, 'echo hello > file');
  await sandbox.destroy();
  await sleep(1);
}
