import { openBareCrun } from './bare-crun.ts';
import { openDocker } from './docker-engine.ts';
import type { Contender } from './greeting.ts';
import { openPodman } from './podman.ts';
import type { Site } from './site.ts';

/** Opens what this machine has to compare with, lets `use` measure, and closes it again. */
export async function withPeers<T>(site: Site, use: (peers: readonly Contender[]) => Promise<T>): Promise<T> {
  const peers: Contender[] = [];
  try {
    for (const open of [openBareCrun, openDocker, openPodman]) {
      const peer = await open(site);
      if (peer) peers.push(peer);
    }
    return await use(peers);
  } finally {
    for (const peer of peers) await peer.close();
  }
}
