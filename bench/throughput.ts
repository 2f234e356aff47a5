import { cofferdam, type DiskKind } from './cofferdam.ts';
import type { Contender } from './greeting.ts';
import { withPeers } from './peers.ts';
import type { Row } from './row.ts';
import type { Site } from './site.ts';
import { inParallel, takeTurns } from './turns.ts';

const width = 4;
/** Sandboxes in a batch of ours; a daemon, which is some ten times slower, gets fewer. */
const batches: Readonly<Record<string, number>> = { 'Docker API': 12, 'podman run': 12 };
const ownBatch = 120;

/** Sandboxes made, used and destroyed per second, four at a time. */
export function throughput(site: Site): Promise<Row[]> {
  return withPeers(site, async (peers) => {
    const disks: readonly DiskKind[] = ['tmpfs', 'ext4'];
    const contenders = [...disks.map((disk) => cofferdam(site.driver, site.image, disk)), ...peers];
    const rounds = Math.max(3, Math.round(site.runs / 10));
    const results = await takeTurns(
      site.stop,
      rounds,
      contenders.map((contender) => () => perSecond(contender, site.stop)),
    );
    return disks.map((disk, i) => ({
      what: `${width} at a time, disk on ${disk}`,
      unit: '/s',
      better: 'more',
      samples: results[i] ?? [],
      target: 140,
      peers: peers.map(({ name }, j) => ({
        name,
        samples: results[disks.length + j] ?? [],
        ...(name === 'Docker API' && { target: { kind: 'gain', limit: 16 } as const }),
      })),
    }));
  });
}

async function perSecond({ name, greet }: Contender, stop: AbortSignal): Promise<number> {
  const count = batches[name] ?? ownBatch;
  const begun = performance.now();
  await inParallel(stop, width, count, async () => void (await greet()));
  return (count * 1000) / (performance.now() - begun);
}
