import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { ImageError } from './image.ts';
import { type ImageSource, installImage, layersOf, sha256 } from './install.ts';
import { hexOf, makingLock } from './layout.ts';
import { withLock } from './lock.ts';
import { machineArchitecture } from './architecture.ts';
import { choosePlatform, parseManifest } from './manifest.ts';
import { type ImageRecord, readImage, readLayer, writeRef } from './records.ts';
import { canonical, type RegistryReference } from './reference.ts';
import {
  copyBlobs,
  dockerName,
  inspectConfig,
  inspectManifest,
  type RegistryAccess,
  runSkopeo,
} from './skopeo.ts';
import { megabytes, watchTransfer } from './transfer.ts';
import { type Progress, type Store, withWorkplace } from './workplace.ts';

/**
 * Brings the image that the reference names now into the store: asks the registry once for the digest, then
 * transfers the layers that are missing. Of several processes that want the same image one works and the others
 * wait. Throws ImageError.
 */
export async function pullImage(
  store: Store,
  reference: RegistryReference,
  access: RegistryAccess,
  progress: Progress,
): Promise<ImageRecord> {
  const { digest, manifest, name } = await resolveManifest(reference, access);
  const { layout } = store;
  const fetch = async (work: string) => {
    const config = await runSkopeo(inspectConfig(name, access));
    const source = { digest, manifest, config, blobs: join(work, 'blobs', 'sha256') };
    await transfer(
      store,
      work,
      source,
      (signal) => runSkopeo(copyBlobs(name, access, work), signal),
      progress,
    );
    return await installImage(store, work, source, progress);
  };
  const waiting = () => progress('waiting for another build that pulls it');
  return await withWorkplace(store, progress, (work) =>
    withLock(makingLock(layout, hexOf(digest)), 'exclusive', waiting, async () => {
      const image = readImage(layout, digest) ?? (await fetch(work));
      writeRef(layout, reference, { ref: canonical(reference), digest });
      return image;
    }),
  );
}

interface ResolvedManifest {
  /** Of what the reference names: a manifest, or an index of manifests. */
  readonly digest: string;
  readonly manifest: ImageSource['manifest'];
  /** skopeo's name for that manifest. */
  readonly name: string;
}

async function resolveManifest(
  reference: RegistryReference,
  access: RegistryAccess,
): Promise<ResolvedManifest> {
  const top = await fetchManifest(reference, access, reference.digest);
  if (top.parsed.kind === 'image') {
    return { digest: top.digest, manifest: top.parsed, name: dockerName(reference, top.digest) };
  }
  const chosen = choosePlatform(top.parsed.manifests, machineArchitecture());
  const { parsed } = await fetchManifest(reference, access, chosen);
  if (parsed.kind === 'index') throw new ImageError('its index points to another index');
  return { digest: top.digest, manifest: parsed, name: dockerName(reference, chosen) };
}

async function fetchManifest(
  reference: RegistryReference,
  access: RegistryAccess,
  digest: string | undefined,
) {
  const bytes = await runSkopeo(inspectManifest(dockerName(reference, digest), access));
  if (digest !== undefined && sha256(bytes) !== digest) {
    throw new ImageError(`the registry sent a manifest with the digest ${sha256(bytes)} for ${digest}`);
  }
  return { digest: sha256(bytes), parsed: parseManifest(bytes) };
}

async function transfer(
  store: Store,
  work: string,
  source: ImageSource,
  copy: (signal: AbortSignal) => Promise<unknown>,
  progress: Progress,
): Promise<void> {
  const { layers } = layersOf(source);
  const missing = layers.filter(({ id }) => !readLayer(store.layout, id));
  mkdirSync(source.blobs, { recursive: true });
  const wanted = new Set(missing.map(({ blob }) => blob));
  for (const { digest } of source.manifest.layers) {
    if (!wanted.has(digest)) closeSync(openSync(join(source.blobs, hexOf(digest)), 'a'));
  }
  const bytes = missing.reduce((sum, { size }) => sum + size, 0);
  progress(`${missing.length} of ${layers.length} layers to transfer, ${megabytes(bytes)}`);
  if (missing.length > 0) await watchTransfer(work, bytes, copy, progress);
}
