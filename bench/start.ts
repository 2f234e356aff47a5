import { cofferdam, type DiskKind } from './cofferdam.ts';
import type { Contender, Greeting } from './greeting.ts';
import { withPeers } from './peers.ts';
import type { Peer, RatioTarget, Row } from './row.ts';
import type { Site } from './site.ts';
import { takeTurns } from './turns.ts';

const disks: readonly DiskKind[] = ['tmpfs', 'ext4'];
/** Starts in one turn. */
const batch = 10;
/** Long enough for the processors to sleep and for their caches to be somebody else's. */
const idleMs = 100;

interface Results {
  readonly ours: readonly Greeting[];
  readonly peers: readonly { readonly name: string; readonly greetings: readonly Greeting[] }[];
}

/**
 * One sandbox at a time, its image in the store: how long until it says something, and until it is gone. Back to
 * back, as on a worker that has work; and after a rest, as on one that had none.
 */
export function start(site: Site): Promise<Row[]> {
  return withPeers(site, async (peers) => {
    const own = disks.map((disk) => cofferdam(site.driver, site.image, disk));
    const rounds = Math.max(1, Math.round(site.runs / batch));
    const busy = await takeTurns(
      site.stop,
      rounds,
      [...own, ...peers].map((contender) => () => backToBack(contender)),
    );
    const bare = peers.slice(0, 1);
    const rested = await takeTurns(
      site.stop,
      site.runs,
      [...own, ...bare].map(({ greet }) => greet),
      { restMs: idleMs },
    );
    return disks.flatMap((disk, i) => {
      const working = resultsOf(
        i,
        busy.map((turns) => turns.flat()),
        peers,
      );
      const idle = resultsOf(i, rested, bare);
      return [
        {
          ...row(`first byte, disk on ${disk}`, 'firstByteMs', working, {
            'bare crun run': { kind: 'cost', limit: 1.7 },
          }),
          target: 10,
        },
        {
          ...row(`destroyed, disk on ${disk}`, 'goneMs', working, {
            'Docker API': { kind: 'gain', limit: 15 },
          }),
          target: 13,
        },
        row(`first byte, disk on ${disk}, after ${idleMs} ms of rest`, 'firstByteMs', idle),
        row(`destroyed, disk on ${disk}, after ${idleMs} ms of rest`, 'goneMs', idle),
      ];
    });
  });
}

/** The first one, which finds the caches of whoever came before, is not in the result. */
async function backToBack({ greet }: Contender): Promise<Greeting[]> {
  await greet();
  const greetings: Greeting[] = [];
  for (let i = 0; i < batch; i++) greetings.push(await greet());
  return greetings;
}

/** Of one of our disks: `all` has ours first, then the peers'. */
function resultsOf(
  disk: number,
  all: readonly (readonly Greeting[])[],
  peers: readonly Contender[],
): Results {
  return {
    ours: all[disk] ?? [],
    peers: peers.map(({ name }, i) => ({ name, greetings: all[disks.length + i] ?? [] })),
  };
}

function row(
  what: string,
  key: keyof Greeting,
  { ours, peers }: Results,
  targets: Readonly<Record<string, RatioTarget>> = {},
): Row {
  const pick = (greetings: readonly Greeting[]) => greetings.map((greeting) => greeting[key]);
  return {
    what,
    unit: 'ms',
    better: 'less',
    samples: pick(ours),
    peers: peers.map(({ name, greetings }): Peer => {
      const target = targets[name];
      return { name, samples: pick(greetings), ...(target && { target }) };
    }),
  };
}
