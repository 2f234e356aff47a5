import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join, parse } from 'node:path';
import { ImageError } from './image.ts';
import {
  layerDirectory,
  layerFile,
  manifestFile,
  refFile,
  type StoreLayout,
  storeLock,
  usedAt,
  useLock,
} from './layout.ts';
import { tryLock, withLock } from './lock.ts';
import { listImages, listRefs, manifestDigests, readRef } from './records.ts';
import { canonical, type Reference } from './reference.ts';
import { type Progress, sweep } from './workplace.ts';

export interface Removed {
  /** Digests of the images that went. */
  readonly images: readonly string[];
  /** Digests of images that would have gone, but are in use by a running build. */
  readonly inUse: readonly string[];
  /** Layers that went. */
  readonly layers: number;
}

/** Which images prune may remove: those no reference names, all, or those not used for so many milliseconds. */
export type Prunable =
  | { readonly kind: 'unreferenced' }
  | { readonly kind: 'all' }
  | { readonly kind: 'unusedFor'; readonly milliseconds: number };

/**
 * Removes a reference, and its image when no other reference has it. Layers that other images have stay. Throws
 * ImageError when there is no such image, or a running build uses it.
 */
export async function removeImage(
  layout: StoreLayout,
  reference: Reference,
  progress: Progress,
): Promise<Removed> {
  return await alone(layout, progress, async () => {
    const ref = readRef(layout, reference);
    if (!ref) throw new ImageError(`image ${canonical(reference)} is not in the store`);
    const shared = listRefs(layout).some(
      ({ ref: name, digest }) => digest === ref.digest && name !== ref.ref,
    );
    if (shared) {
      rmSync(refFile(layout, reference));
      return { images: [], inUse: [], layers: 0 };
    }
    if (!(await removeUnused(layout, ref.digest))) {
      throw new ImageError(`image ${canonical(reference)} is in use by a running build; try again later`);
    }
    return { images: [ref.digest], inUse: [], layers: await removeUnreferencedLayers(layout) };
  });
}

/** Removes the images that `what` says and no build uses, and whatever else in the store no image needs. */
export async function pruneImages(layout: StoreLayout, what: Prunable, progress: Progress): Promise<Removed> {
  return await alone(layout, progress, async () => {
    const refs = listRefs(layout).map(({ digest }) => digest);
    const sound = new Set(listImages(layout).map(({ digest }) => digest));
    const images: string[] = [];
    const inUse: string[] = [];
    for (const digest of new Set([...manifestDigests(layout), ...refs])) {
      // Of what is garbled or half gone nothing can be used.
      if (sound.has(digest) && !isPrunable(layout, what, digest, refs)) continue;
      const went = await removeUnused(layout, digest);
      (went ? images : inUse).push(digest);
    }
    return { images, inUse, layers: await removeUnreferencedLayers(layout) };
  });
}

function isPrunable(layout: StoreLayout, what: Prunable, digest: string, refs: string[]): boolean {
  if (what.kind === 'all') return true;
  if (what.kind === 'unreferenced') return !refs.includes(digest);
  return Date.now() - (usedAt(layout, digest) ?? 0) >= what.milliseconds;
}

/** Does `work` while nobody adds to the store or removes from it. */
async function alone<T>(layout: StoreLayout, progress: Progress, work: () => Promise<T>): Promise<T> {
  const waiting = () => progress('waiting for running pulls to end');
  return await withLock(storeLock(layout), 'exclusive', waiting, async () => {
    await sweep(layout);
    // Nobody is making an image now, so nobody waits on these.
    for (const name of readdirSync(layout.locks)) {
      if (name.startsWith('making-')) rmSync(join(layout.locks, name));
    }
    return await work();
  });
}

/** Removes an image with its references; false when a running build holds it. Its layers are left. */
async function removeUnused(layout: StoreLayout, digest: string): Promise<boolean> {
  const lock = await tryLock(useLock(layout, digest), 'exclusive');
  if (!lock) return false;
  try {
    for (const ref of listRefs(layout)) {
      if (ref.digest === digest) rmSync(ref.file);
    }
    rmSync(manifestFile(layout, digest), { force: true });
    // Held while it goes: a sandbox that has opened it by now finds no layers and says so.
    rmSync(useLock(layout, digest));
    return true;
  } finally {
    await lock.release();
  }
}

async function removeUnreferencedLayers(layout: StoreLayout): Promise<number> {
  const needed = new Set(listImages(layout).flatMap(({ layers }) => layers.map(({ id }) => id)));
  const ids = new Set(readdirSync(layout.layers).map((name) => parse(name).name));
  const unneeded = [...ids].filter((id) => !needed.has(id));
  for (const id of unneeded) {
    rmSync(layerFile(layout, id), { force: true });
    // Aside in one step: a layer half removed must not look like a layer.
    const directory = layerDirectory(layout, id);
    if (existsSync(directory)) renameSync(directory, join(layout.tmp, id));
  }
  await sweep(layout);
  return unneeded.length;
}
