import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { holderFile } from '../../../runtime/host/holder.ts';
import { containBy } from '../../../runtime/images/contain.ts';
import { openStorage, type Storage } from '../../../src/storage/storage.ts';
import { type SnapshotTiers, snapshotTiers } from '../../../workers/caches/tiers.ts';
import { storedSnapshots } from '../../../workers/caches/stored.ts';
import { type LayerCache, layerCache } from '../../../workers/layer-cache.ts';

export type Tree = Readonly<Record<string, string | Buffer>>;

/** Snapshots of one worker in a directory, maybe with a storage below. */
export interface Cupboard {
  readonly tiers: SnapshotTiers;
  readonly layers: LayerCache;
  /** What went wrong in the background. */
  readonly troubles: unknown[];
}

export function cupboard(dataDir: string, storage?: Storage, capBytes = 1024 ** 3): Cupboard {
  const layers = layerCache({ dataDir, capBytes, name: 'caches' });
  const troubles: unknown[] = [];
  const stored = storage && storedSnapshots(storage, containBy(holderFile));
  const tiers = snapshotTiers({ layers, stored, onTrouble: (error) => void troubles.push(error) });
  return { tiers, layers, troubles };
}

export const storageIn = (directory: string): Storage => openStorage(`file:${directory}`);

/** Fills the directory of a new snapshot. */
export function filling(tree: Tree) {
  return async (directory: string) => {
    for (const [path, content] of Object.entries(tree)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), content);
    }
    const contents = Object.values(tree);
    const bytes = contents.reduce((sum, { length }) => sum + length, 0);
    return { files: contents.length, bytes, entries: contents.length };
  };
}

/** Lines of a log. */
export function listener() {
  const lines: string[] = [];
  return { lines, say: (line: string) => void lines.push(line) };
}
