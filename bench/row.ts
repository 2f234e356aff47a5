import { type Better, costRatio, median, p99 } from './statistics.ts';

/** One measured quantity: ours, and the same of others, taken in turns with it. */
export interface Row {
  readonly what: string;
  readonly unit: Unit;
  readonly better: Better;
  readonly samples: readonly number[];
  /** What the median has to reach. */
  readonly target?: number;
  readonly peers?: readonly Peer[];
}

export type Unit = 'µs' | 'ms' | 's' | '/s' | 'MB/s' | 'MiB' | 'KiB' | 'sandboxes' | 'rounds' | 'followers';

export interface Peer {
  readonly name: string;
  readonly samples: readonly number[];
  readonly target?: RatioTarget;
}

/** `cost`: ours is at most so many times the peer's; `gain`: we are at least so many times faster. */
export type RatioTarget = { readonly kind: 'cost' | 'gain'; readonly limit: number };

export interface Summary {
  readonly what: string;
  readonly unit: Unit;
  readonly samples: number;
  readonly median: number;
  readonly p99: number;
  readonly target?: { readonly kind: 'most' | 'least'; readonly limit: number; readonly met: boolean };
  readonly peers: readonly PeerSummary[];
}

export interface PeerSummary {
  readonly name: string;
  readonly samples: number;
  readonly median: number;
  readonly p99: number;
  /** Our cost divided by the peer's: 2 is twice as slow, 0.5 is twice as fast. */
  readonly costRatio: number;
  readonly target?: RatioTarget & { readonly met: boolean };
}

/** The row as it is reported. */
export function summarise({ what, unit, better, samples, target, peers = [] }: Row): Summary {
  const middle = median(samples);
  return {
    what,
    unit,
    samples: samples.length,
    median: middle,
    p99: p99(samples, better),
    ...(target !== undefined && {
      target: {
        kind: better === 'less' ? 'most' : 'least',
        limit: target,
        met: better === 'less' ? middle <= target : middle >= target,
      },
    }),
    peers: peers.map((peer) => summarisePeer(peer, samples, better)),
  };
}

function summarisePeer(peer: Peer, ours: readonly number[], better: Better): PeerSummary {
  const ratio = costRatio(ours, peer.samples, better);
  const { target } = peer;
  return {
    name: peer.name,
    samples: peer.samples.length,
    median: median(peer.samples),
    p99: p99(peer.samples, better),
    costRatio: ratio,
    ...(target && {
      target: { ...target, met: target.kind === 'cost' ? ratio <= target.limit : 1 / ratio >= target.limit },
    }),
  };
}
