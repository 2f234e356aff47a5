import { isAbsolute } from 'node:path';
import type { Readable } from 'node:stream';
import { openFileStorage } from './file.ts';
import { openS3Storage } from './s3.ts';

/** Bytes from `start` to `end`, both included; `end` past the last byte, or none, means the last byte. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

/**
 * Where finished things are kept. Keys are `/`-separated paths; no key is the prefix of another's segments (`a` and
 * `a/b`). What is there can be read while it is replaced or removed: a reader has the old bytes, or an error.
 */
export interface Storage {
  /**
   * Keeps all of it or, when the body or the storage fails, none of it: what was there before stays. It is on disk when
   * this resolves.
   */
  put(key: string, body: Buffer | AsyncIterable<Buffer>): Promise<{ bytes: number }>;
  /**
   * Throws StorageMissing. `bytes`: of the body; 0 when the range starts past the last byte. A body that is not read to
   * its end must be destroyed.
   */
  get(key: string, range?: ByteRange): Promise<{ body: Readable; bytes: number; total: number }>;
  head(key: string): Promise<{ bytes: number } | undefined>;
  /** All keys below a prefix, which ends in `/`; in no order. */
  list(prefix: string): AsyncIterable<string>;
  /** Removes one; nothing there is no error. */
  remove(key: string): Promise<void>;
  /** Removes everything below a prefix, which ends in `/`. */
  removeAll(prefix: string): Promise<void>;
}

/** No storage can be made of that URL; the message says of what it can. */
export class StorageUrlError extends Error {
  override readonly name = 'StorageUrlError';
}

/**
 * Opens `file:/absolute/path` or `s3://bucket[/prefix][?endpoint=URL&region=NAME]`. Throws StorageUrlError; whether the
 * storage can be reached shows when it is used.
 */
export function openStorage(url: string): Storage {
  if (url.startsWith('file:')) {
    const path = url.replace(/^file:(\/\/)?/, '');
    if (isAbsolute(path)) return openFileStorage(path);
  }
  const s3 = /^s3:\/\/([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(url);
  if (s3?.[1]) {
    const options = new URLSearchParams(s3[3]);
    const endpoint = options.get('endpoint') ?? undefined;
    const region = options.get('region') ?? undefined;
    if ([...options.keys()].every((key) => key === 'endpoint' || key === 'region')) {
      return openS3Storage({ bucket: s3[1], prefix: s3[2] ?? '', endpoint, region });
    }
  }
  throw new StorageUrlError(
    `'${url}' is no storage; use file:/absolute/path or s3://bucket/prefix?endpoint=https://…&region=…`,
  );
}
