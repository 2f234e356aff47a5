import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { CommandError } from '../runtime/command.ts';
import { ImageError } from '../runtime/images/image.ts';
import { type Contain, unpackLayer } from '../runtime/images/layer.ts';
import { layerLimits } from '../runtime/images/layer-limits.ts';
import { StorageMissing } from '../src/storage/missing.ts';
import type { Storage } from '../src/storage/storage.ts';
import { uploadKey } from '../src/uploads.ts';
import type { CachedLayer, LayerCache } from './layer-cache.ts';
import { SourceError } from './source.ts';

/** Uploaded working trees, unpacked once on this machine and shared, read-only, by all builds of the same upload. */
export interface UploadCache {
  /**
   * The tree of an upload; `open` gives the tar, maybe compressed, when it is not here yet. The caller's sandbox
   * holds `lock` shared. Throws SourceError when the tar is damaged, hostile or too large.
   */
  use(digest: string, open: () => Promise<Readable>): Promise<UploadedTree>;
}

export interface UploadedTree {
  readonly directory: string;
  readonly lock: string;
}

export function uploadCache(cache: LayerCache, contain: Contain): UploadCache {
  const making = new Map<string, Promise<CachedLayer>>();

  const unpack = (digest: string, open: () => Promise<Readable>): Promise<CachedLayer> =>
    cache.make(digest, async (directory) => {
      const tree = join(directory, 'tree');
      await mkdir(tree);
      try {
        const source = { blob: await open(), digest: `sha256:${digest}`, diffId: undefined };
        const { bytes } = await unpackLayer(source, tree, contain, layerLimits, 'tree');
        return bytes;
      } catch (error) {
        if (!(error instanceof ImageError) && !(error instanceof CommandError)) throw error;
        throw new SourceError(`the uploaded source cannot be unpacked: ${error.message}`, { cause: error });
      }
    });

  return {
    use: async (digest, open) => {
      let layer = cache.find(digest);
      if (!layer) {
        const work = making.get(digest) ?? unpack(digest, open).finally(() => making.delete(digest));
        making.set(digest, work);
        layer = await work;
      }
      return { directory: layer.tree, lock: layer.lock };
    },
  };
}

/** The tar of an upload in storage. Throws SourceError when it is not there any more, and what Storage.get throws. */
export async function openUpload(storage: Storage, digest: string): Promise<Readable> {
  try {
    return (await storage.get(uploadKey(digest))).body;
  } catch (error) {
    if (!(error instanceof StorageMissing)) throw error;
    throw new SourceError(
      'the uploaded source is not kept any more: the service removes uploads that were not used for long ' +
        '(COFFERDAM_KEEP_UPLOADS, by default 30d); submit the directory again',
      { cause: error },
    );
  }
}
