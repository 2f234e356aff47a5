import { holderFile } from '../../runtime/host/holder.ts';
import { containBy } from '../../runtime/images/contain.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { type Caches, openCaches } from '../caches.ts';
import { layerCache } from '../layer-cache.ts';
import { storedSnapshots } from './stored.ts';
import { snapshotTiers } from './tiers.ts';

export interface MachineCachesOptions {
  readonly dataDir: string;
  /** Bytes that are kept here at most, beyond what running builds use. */
  readonly maxBytes: number;
  /** What workers share; undefined: nothing. */
  readonly storage: Storage | undefined;
  readonly onTrouble: (error: unknown, what: string) => void;
}

/** The caches of this machine. */
export function machineCaches({ dataDir, maxBytes, storage, onTrouble }: MachineCachesOptions): Caches {
  const layers = snapshotLayers(dataDir, maxBytes);
  const stored = storage && storedSnapshots(storage, containBy(holderFile));
  return openCaches({ tiers: snapshotTiers({ layers, stored, onTrouble }), maxBytes });
}

/** Where the snapshots of this machine are. */
export function snapshotLayers(dataDir: string, maxBytes: number) {
  return layerCache({ dataDir, capBytes: maxBytes, name: 'caches' });
}
