import { createHash } from 'node:crypto';
import { chmodSync, createReadStream, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { run } from '../command.ts';
import { type ImageConfig, ImageError } from './image.ts';
import { type LayerSource, unpackLayer } from './layer.ts';
import { hexOf, layerDirectory, useLock } from './layout.ts';
import { machineArchitecture } from './architecture.ts';
import { type ParsedManifest, parseConfig } from './manifest.ts';
import { type ImageRecord, type LayerRecord, readLayer, writeImage, writeLayer } from './records.ts';
import type { Progress, Store } from './workplace.ts';

/** An image whose blobs are files: pulled, or taken out of an archive. */
export interface ImageSource {
  /** What the image is to be known by. */
  readonly digest: string;
  readonly manifest: Extract<ParsedManifest, { kind: 'image' }>;
  readonly config: Buffer;
  /** The directory of the blobs of layers that the store has not, each named by the hex of its digest. */
  readonly blobs: string;
}

export interface SourceLayer {
  /** Hex of the DiffID. */
  readonly id: string;
  readonly blob: string;
  /** Bytes of the blob. */
  readonly size: number;
}

/** The image's layers, bottom first. Throws ImageError when config and manifest do not fit together. */
export function layersOf(image: Pick<ImageSource, 'manifest' | 'config'>): {
  readonly config: ImageConfig;
  readonly layers: readonly SourceLayer[];
} {
  const { manifest } = image;
  if (sha256(image.config) !== manifest.config.digest) {
    throw new ImageError(`its config is not the one its manifest names (${manifest.config.digest})`);
  }
  const { config, diffIds } = parseConfig(image.config, machineArchitecture());
  if (diffIds.length !== manifest.layers.length) {
    throw new ImageError(`its manifest has ${manifest.layers.length} layers, its config ${diffIds.length}`);
  }
  const ids = diffIds.map(hexOf);
  const layers = manifest.layers.map(({ digest, size }, at) => ({ id: ids[at] ?? '', blob: digest, size }));
  // overlayfs refuses a directory given twice, and the upper one shows all that the lower one would.
  return { config, layers: layers.filter(({ id }, at) => ids.lastIndexOf(id) === at) };
}

/** Unpacks the layers that are missing and records the image. `work`: a directory on the store's file system. */
export async function installImage(
  store: Store,
  work: string,
  source: ImageSource,
  progress: Progress,
): Promise<ImageRecord> {
  const { config, layers } = layersOf(source);
  const fresh: FreshLayer[] = [];
  const records: LayerRecord[] = [];
  for (const [at, { id, blob }] of layers.entries()) {
    const present = readLayer(store.layout, id);
    if (present) {
      records.push(present);
      continue;
    }
    progress(`unpacking layer ${at + 1} of ${layers.length}`);
    const file = join(source.blobs, hexOf(blob));
    const layer = await unpack(store, work, {
      blob: createReadStream(file),
      digest: blob,
      diffId: `sha256:${id}`,
    });
    fresh.push(layer);
    records.push(layer.record);
    await rm(file, { force: true });
  }
  return await commit(store, work, fresh, { digest: source.digest, config, layers: records });
}

/** Makes an image of one layer from a tar of a root file system, maybe compressed. */
export async function installRootfs(store: Store, work: string, tar: Readable): Promise<ImageRecord> {
  const layer = await unpack(store, work, { blob: tar, digest: undefined, diffId: undefined });
  const config = { env: [], workingDir: '/', user: '', entrypoint: [], cmd: [] };
  return await commit(store, work, [layer], withoutManifest(config, [layer.record]));
}

/** Makes an image of another one and a further layer, from its tar. */
export async function installOver(
  store: Store,
  work: string,
  base: ImageRecord,
  tar: Readable,
): Promise<ImageRecord> {
  const layer = await unpack(store, work, { blob: tar, digest: undefined, diffId: undefined });
  const image = withoutManifest(base.config, [...base.layers, layer.record]);
  return await commit(store, work, [layer], image);
}

/** An image that no registry knows is known by the manifest that a minimal OCI image of these layers would have. */
function withoutManifest(
  config: ImageConfig,
  layers: readonly LayerRecord[],
): Omit<ImageRecord, 'createdAt'> {
  const written = JSON.stringify({
    architecture: machineArchitecture(),
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: layers.map(({ id }) => `sha256:${id}`) },
  });
  const manifest = JSON.stringify({ schemaVersion: 2, config: sha256(Buffer.from(written)) });
  return { digest: sha256(Buffer.from(manifest)), config, layers };
}

interface FreshLayer {
  readonly directory: string;
  readonly record: LayerRecord;
}

async function unpack(store: Store, work: string, source: LayerSource): Promise<FreshLayer> {
  const directory = join(work, `layer-${source.digest ? hexOf(source.digest) : 'rootfs'}`);
  mkdirSync(directory);
  // Whatever the umask is: this is `/` for users of all ids, unless the layer lists it with a mode of its own.
  chmodSync(directory, 0o755);
  try {
    const { id, bytes, entries, opaqueRoot } = await unpackLayer(source, directory, store.contain);
    if (entries === 0 && source.digest === undefined) throw new ImageError('the archive is empty');
    return { directory, record: { id, bytes, opaqueRoot } };
  } catch (error) {
    if (!(error instanceof ImageError) || source.digest === undefined) throw error;
    throw new ImageError(`layer ${source.digest}: ${error.message}`, { cause: error });
  }
}

/** Everything is in place and on disk before the record says that the image exists. */
async function commit(
  { layout }: Store,
  work: string,
  fresh: readonly FreshLayer[],
  image: Omit<ImageRecord, 'createdAt'>,
): Promise<ImageRecord> {
  if (fresh.length > 0) await run({ file: 'sync', args: ['--file-system', work] });
  for (const { directory, record } of fresh) {
    writeLayer(layout, record);
    try {
      renameSync(directory, layerDirectory(layout, record.id));
    } catch (error) {
      // Another image with the same layer came first. Same DiffID: same content.
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    }
  }
  const bottom = Math.max(
    0,
    image.layers.findLastIndex(({ opaqueRoot }) => opaqueRoot),
  );
  const visible = image.layers.slice(bottom);
  const record = { ...image, layers: visible, createdAt: new Date().toISOString() };
  writeFileSync(useLock(layout, record.digest), '', { mode: 0o600 });
  writeImage(layout, record);
  return record;
}

/** `sha256:…` */
export function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
