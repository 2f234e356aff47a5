import { cofferdam, type DiskKind } from './cofferdam.ts';
import type { Contender, Greeting } from './greeting.ts';
import { withPeers } from './peers.ts';
import type { Peer, RatioTarget, Row } from './row.ts';
import type { Site } from './site.ts';
import { takeTurns } from './turns.ts';

/** One sandbox at a time, its image in the store: how long until it says something, and until it is gone. */
export function start(site: Site): Promise<Row[]> {
  return withPeers(site, async (peers) => {
    const disks: readonly DiskKind[] = ['tmpfs', 'ext4'];
    const contenders = [...disks.map((disk) => cofferdam(site.driver, site.image, disk)), ...peers];
    const results = await takeTurns(
      site.stop,
      site.runs,
      contenders.map(({ greet }) => greet),
      { warmUp: 5 },
    );
    return disks.flatMap((disk, i) => {
      const ours = results[i] ?? [];
      const theirs = results.slice(disks.length);
      return [
        rowOf(`first byte, disk on ${disk}`, 10, ours, 'firstByteMs', peers, theirs, {
          'bare crun run': { kind: 'cost', limit: 1.7 },
        }),
        rowOf(`destroyed, disk on ${disk}`, 13, ours, 'goneMs', peers, theirs, {
          'Docker API': { kind: 'gain', limit: 15 },
        }),
      ];
    });
  });
}

function rowOf(
  what: string,
  target: number,
  ours: readonly Greeting[],
  key: keyof Greeting,
  peers: readonly Contender[],
  theirs: readonly (readonly Greeting[])[],
  targets: Readonly<Record<string, RatioTarget>>,
): Row {
  const pick = (greetings: readonly Greeting[]) => greetings.map((greeting) => greeting[key]);
  return {
    what,
    unit: 'ms',
    better: 'less',
    samples: pick(ours),
    target,
    peers: peers.map(({ name }, i): Peer => {
      const ratio = targets[name];
      return { name, samples: pick(theirs[i] ?? []), ...(ratio && { target: ratio }) };
    }),
  };
}
