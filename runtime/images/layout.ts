import { createHash } from 'node:crypto';
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { canonical, type Reference } from './reference.ts';

/** Where everything of the image store lies. */
export interface StoreLayout {
  /** One directory a layer, named by the hex of its DiffID: unpacked, in overlayfs form; and a record beside it. */
  readonly layers: string;
  /** One record an image, named by the hex of its digest. */
  readonly manifests: string;
  /** One file a reference. */
  readonly refs: string;
  /** `store`: shared by all who add, exclusive for those who remove; the others: see the functions below. */
  readonly locks: string;
  /** Unfinished work, a directory each; stale when nobody holds the store lock. */
  readonly tmp: string;
}

/** Creates what is missing. */
export function storeLayout(dataDir: string): StoreLayout {
  const root = join(dataDir, 'images');
  const at = (name: string) => join(root, name);
  const layout = {
    layers: at('layers'),
    manifests: at('manifests'),
    refs: at('refs'),
    locks: at('locks'),
    tmp: at('tmp'),
  };
  // Images hold setuid programs of root: nobody else may reach them.
  mkdirSync(root, { recursive: true, mode: 0o700 });
  for (const directory of Object.values(layout)) mkdirSync(directory, { recursive: true });
  return layout;
}

/** Held by whoever adds (shared) or removes (exclusive). */
export function storeLock(layout: StoreLayout): string {
  return join(layout.locks, 'store');
}

/** Held while an image is being made, so that the others who want it wait instead of making it too. */
export function makingLock(layout: StoreLayout, key: string): string {
  return join(layout.locks, `making-${key}`);
}

/** Held shared by every sandbox that runs on the image; exists as long as the image. */
export function useLock(layout: StoreLayout, digest: string): string {
  return join(layout.locks, `use-${hexOf(digest)}`);
}

/** When the image was last resolved or made, in milliseconds since 1970: the time of its lock file. */
export function usedAt(layout: StoreLayout, digest: string): number | undefined {
  return statSync(useLock(layout, digest), { throwIfNoEntry: false })?.mtimeMs;
}

export function layerDirectory(layout: StoreLayout, id: string): string {
  return join(layout.layers, id);
}

/** What is known about the layer. */
export function layerFile(layout: StoreLayout, id: string): string {
  return join(layout.layers, `${id}.json`);
}

export function manifestFile(layout: StoreLayout, digest: string): string {
  return join(layout.manifests, `${hexOf(digest)}.json`);
}

/** References are longer than file names may be, hence the hash. */
export function refFile(layout: StoreLayout, reference: Reference): string {
  return join(layout.refs, `${createHash('sha256').update(canonical(reference)).digest('hex')}.json`);
}

/** `sha256:<hex>` → `<hex>` */
export function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}
