import { createHash } from 'node:crypto';
import { PassThrough, type Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { buffer } from 'node:stream/consumers';
import { constants, createZstdCompress } from 'node:zlib';
import { run } from '../../runtime/command.ts';
import { ImageError } from '../../runtime/images/image.ts';
import { type Contain, unpackLayer } from '../../runtime/images/layer.ts';
import { layerLimits } from '../../runtime/images/layer-limits.ts';
import { StorageMissing } from '../../src/storage/missing.ts';
import type { Storage } from '../../src/storage/storage.ts';
import type { SnapshotFacts } from './local.ts';
import { type CacheName, placeOf, storedCaches } from './place.ts';

/** What storage knows of a snapshot; it is beside the archive and written after it, so what has it is whole. */
export interface StoredSnapshot extends SnapshotFacts {
  /** SHA-256 of the archive, lower-case hex. */
  readonly sha256: string;
  /** Of the archive. */
  readonly archiveBytes: number;
}

/** Snapshots in storage, which workers share: `caches/PROJECT/SCOPE/NAME/KEY.tar.zst`, and KEY.json. */
export interface StoredSnapshots {
  /** What is known of the snapshot of a key. */
  find(cache: CacheName, key: string): Promise<StoredSnapshot | undefined>;
  /** What is known of that which was put last. */
  newest(cache: CacheName): Promise<StoredSnapshot | undefined>;
  /**
   * Unpacks a snapshot into an empty directory; `progress` hears how many bytes of the archive came. Throws ImageError
   * when it is damaged or gone.
   */
  fetch(snapshot: StoredSnapshot, tree: string, progress: (bytes: number) => void): Promise<void>;
  /** Puts a tree that nobody changes, unless there is one of its key; older ones of the cache go. */
  put(facts: SnapshotFacts, tree: string): Promise<void>;
  /** Takes one away that cannot be used. */
  drop(snapshot: SnapshotFacts): Promise<void>;
  list(): AsyncIterable<StoredSnapshot>;
}

/** Of one cache: enough for as many branches whose key files differ. */
const kept = 10;

export function storedSnapshots(storage: Storage, contain: Contain): StoredSnapshots {
  const read = async (key: string): Promise<StoredSnapshot | undefined> => {
    try {
      return JSON.parse((await buffer((await storage.get(key)).body)).toString());
    } catch (error) {
      // One that another version wrote, or half of one, is as good as none.
      if (error instanceof StorageMissing || error instanceof SyntaxError) return undefined;
      throw error;
    }
  };
  const keyOf = (snapshot: SnapshotFacts) => placeOf(snapshot).stored + snapshot.key;

  const all = async function* (prefix: string): AsyncGenerator<StoredSnapshot> {
    for await (const key of storage.list(prefix)) {
      const snapshot = /\/[0-9a-f]{64}\.json$/.test(key) ? await read(key) : undefined;
      if (snapshot) yield snapshot;
    }
  };

  const others = async (snapshot: SnapshotFacts): Promise<StoredSnapshot[]> => {
    const found = await Array.fromAsync(all(placeOf(snapshot).stored));
    return found.filter(({ key }) => key !== snapshot.key).sort((a, b) => (a.savedAt > b.savedAt ? -1 : 1));
  };

  const drop = async (snapshot: SnapshotFacts): Promise<void> => {
    // First what makes it known.
    await storage.remove(`${keyOf(snapshot)}.json`);
    const newest = `${placeOf(snapshot).stored}newest.json`;
    if ((await read(newest))?.key === snapshot.key) {
      const [next] = await others(snapshot);
      await (next ? storage.put(newest, Buffer.from(JSON.stringify(next))) : storage.remove(newest));
    }
    await storage.remove(`${keyOf(snapshot)}.tar.zst`);
  };

  return {
    find: (cache, key) => read(`${placeOf(cache).stored}${key}.json`),
    newest: (cache) => read(`${placeOf(cache).stored}newest.json`),
    fetch: async (snapshot, tree, progress) => {
      let bytes = 0;
      const counted = async function* (source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          progress((bytes += chunk.length));
          yield chunk;
        }
      };
      const body = await open(storage, `${keyOf(snapshot)}.tar.zst`);
      const blob = new PassThrough();
      // What goes wrong shows where the blob is read.
      const feeding = pipeline(body, counted, blob).catch(() => {});
      const limits = { ...layerLimits, ratio: Number.POSITIVE_INFINITY };
      const digest = `sha256:${snapshot.sha256}`;
      await unpackLayer({ blob, digest, diffId: undefined }, tree, contain, limits, 'snapshot');
      await feeding;
    },
    put: async (facts, tree) => {
      const key = keyOf(facts);
      if (await storage.head(`${key}.json`)) return;
      const { sha256, bytes: archiveBytes } = await putArchive(storage, `${key}.tar.zst`, tree, contain);
      const known = Buffer.from(JSON.stringify({ ...facts, sha256, archiveBytes } satisfies StoredSnapshot));
      await storage.put(`${key}.json`, known);
      await storage.put(`${placeOf(facts).stored}newest.json`, known);
      for (const old of (await others(facts)).slice(kept - 1)) await drop(old);
    },
    drop,
    list: () => all(storedCaches),
  };
}

async function open(storage: Storage, key: string): Promise<Readable> {
  try {
    return (await storage.get(key)).body;
  } catch (error) {
    if (!(error instanceof StorageMissing)) throw error;
    throw new ImageError('it was removed from storage a moment ago', { cause: error });
  }
}

/** The same tree makes the same archive. */
const archiver = {
  file: 'env',
  args: ['LC_ALL=C', 'tar', '--create', '--file=-', '--sort=name', '--numeric-owner', '--format=posix', '.'],
} as const;

async function putArchive(
  storage: Storage,
  key: string,
  tree: string,
  contain: Contain,
): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  const tar = new PassThrough({ highWaterMark: 1024 ** 2 });
  // The checksum tells of a flipped bit also where nobody knows the digest.
  const packed = createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } });
  const hashed = async function* (source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      hash.update(chunk);
      yield chunk;
    }
  };
  const body = new PassThrough();
  const packing = pipeline(tar, packed, hashed, body);
  const storing = storage.put(key, body);
  const onStdout = async (chunk: Buffer) => {
    if (!tar.write(chunk))
      await new Promise<void>((resolve) => tar.once('drain', resolve).once('close', resolve));
    if (tar.destroyed) throw new Error('the storage takes no more');
  };
  const archiving = run(contain(tree, archiver), { onStdout }).then(
    () => void tar.end(),
    (error: unknown) => {
      tar.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    },
  );
  storing.catch((error: unknown) => body.destroy(error instanceof Error ? error : new Error(String(error))));
  const [stored, packedUp, archived] = await Promise.allSettled([
    storing,
    packing,
    archiving,
    finished(body),
  ]);
  if (stored.status === 'rejected') throw stored.reason;
  if (archived.status === 'rejected') throw archived.reason;
  if (packedUp.status === 'rejected') throw packedUp.reason;
  return { sha256: hash.digest('hex'), bytes: stored.value.bytes };
}
