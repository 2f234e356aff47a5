import { createHash } from 'node:crypto';
import { arch } from 'node:process';

/** A cache of a project. Only trusted builds write to it; what is in it is for one kind of processor. */
export interface CacheName {
  readonly project: string;
  readonly name: string;
}

/** Where a cache is kept. */
export interface CachePlace {
  /** What keys of its layers on this machine begin with: 32 hexadecimal digits. */
  readonly layers: string;
  /** What its keys in storage begin with; ends in `/`. */
  readonly stored: string;
}

/** Builds of all branches share it, so it is named for who may write. */
const scope = `trusted-${arch}`;

export function placeOf({ project, name }: CacheName): CachePlace {
  return {
    layers: digest(JSON.stringify([project, scope, name])).slice(0, 32),
    stored: `${storedCaches}${segment(project)}/${scope}/${segment(name)}/`,
  };
}

/** Where caches are in the storage. */
export const storedCaches = 'caches/';

/** The layer of a cache on this machine for the digest of a key (64 hexadecimal digits). */
export function layerKey(place: CachePlace, key: string): string {
  return place.layers + key.slice(0, 32);
}

/** SHA-256, hexadecimal. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Part of a storage key, whatever the name: file systems take 255 bytes of one. */
function segment(name: string): string {
  const plain = encodeURIComponent(name.toWellFormed()).replaceAll('.', '%2E');
  return plain.length > 0 && plain.length <= 180 ? plain : digest(name);
}
