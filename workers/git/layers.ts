import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CachedLayer, LayerCache } from '../layer-cache.ts';
import { checkOutDifference, checkOutTree } from './checkout.ts';
import { type Difference, smallDifference } from './difference.ts';
import { makeDotGit } from './dot-git.ts';
import type { MirrorPlace, OpenMirror } from './mirror.ts';
import { MirrorDamaged } from './mirror-damaged.ts';
import { extractWorkflows } from './workflows.ts';

/** The commit whose layers are made; the mirror has the commit. */
export interface CommitRequest {
  readonly cache: LayerCache;
  /** Of the commit's own layer. */
  readonly key: string;
  readonly mirror: OpenMirror;
  readonly sha: string;
  readonly ref: string | undefined;
  readonly url: string;
  readonly paths: readonly string[];
}

/** A whole tree that is in the cache. */
interface WholeTree {
  readonly key: string;
  /** Its id in git. */
  readonly id: string;
  readonly files: number;
  readonly bytes: number;
}

/** A key of the cache that nothing else has. */
export function keyOf(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/**
 * Makes a commit's own layer, `.git` and what differs from the tree below it, and that tree when there is none near
 * enough. The file `below` names it. Throws SourceError and MirrorDamaged.
 */
export async function makeCommitLayer(request: CommitRequest): Promise<void> {
  const { cache, key, mirror, sha, ref, url } = request;
  const { repository, objects } = mirror;
  const sparse = [...new Set(request.paths.map((path) => path.replace(/\/+$/, '')))].sort();
  const tree = await treeOf(mirror, sha);
  const { whole, layer, difference } = await treeBelow(cache, mirror, tree, sparse);
  await cache.make(key, async (directory) => {
    const own = { repository, objects, directory };
    const below = { index: join(layer.directory, 'index'), bytes: whole.bytes };
    let bytes = 0;
    if (difference) bytes += await checkOutDifference(own, tree, difference, below, sparse);
    else mkdirSync(join(directory, 'tree'));
    const index = difference ? join(directory, 'index') : below.index;
    bytes += makeDotGit(join(directory, 'tree', '.git'), { repository, sha, ref, url, index, sparse });
    await extractWorkflows(objects, sha, join(directory, 'workflows'));
    writeFileSync(join(directory, 'below'), whole.key);
    writeFileSync(join(directory, 'shared'), 'tree/.git/objects/pack');
    return bytes;
  });
}

async function treeOf({ objects }: OpenMirror, sha: string): Promise<string> {
  const tree = await objects.info(`${sha}^{tree}`);
  if (tree) return tree.id;
  throw new MirrorDamaged(`the mirror lacks the tree of ${sha}`);
}

/** The tree itself, or a near one and the difference. */
async function treeBelow(
  cache: LayerCache,
  place: MirrorPlace,
  tree: string,
  sparse: readonly string[],
): Promise<{ whole: WholeTree; layer: CachedLayer; difference: Difference | undefined }> {
  const key = keyOf('tree', place.id, tree, sparse);
  const known = wholeTrees(place, sparse);
  for (const whole of known.trees.toSorted((a, b) => Number(b.key === key) - Number(a.key === key))) {
    const layer = cache.find(whole.key);
    if (!layer) continue;
    if (whole.key === key) return { whole, layer, difference: undefined };
    const limit = Math.max(fewChanges, whole.files * smallPart);
    const difference = await smallDifference(place.repository, whole.id, tree, limit);
    if (difference) return { whole, layer, difference };
  }
  let made: { bytes: number; files: number } | undefined;
  const layer = await cache.make(key, async (directory) => {
    made = await checkOutTree({ repository: place.repository, directory }, tree, sparse);
    return made.bytes + made.files * perFileBytes;
  });
  const whole = { key, id: tree, files: made?.files ?? 0, bytes: made?.bytes ?? 0 };
  known.add(whole);
  return { whole, layer, difference: undefined };
}

/** A difference takes time for each of its files, for each commit; a whole tree is made once. */
const smallPart = 0.05;
const fewChanges = 500;

/** What a file takes beyond its size: its inode, and half a block. */
export const perFileBytes = 2304;

/** Trees that a new commit may be near to. */
const remembered = 4;

/** The newest whole trees of a mirror, kept in a file of it: whoever reads it has the mirror's lock. */
function wholeTrees({ directory }: MirrorPlace, sparse: readonly string[]) {
  const file = join(directory, `trees-${keyOf(sparse).slice(0, 16)}.json`);
  const trees = readTrees(file);
  return {
    trees,
    add: (tree: WholeTree) => {
      const others = trees.filter(({ key }) => key !== tree.key);
      writeFileSync(file, JSON.stringify([tree, ...others].slice(0, remembered)));
    },
  };
}

function readTrees(file: string): readonly WholeTree[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // There is none yet, or a killed process left half of it: then the next tree is made whole.
    return [];
  }
}
