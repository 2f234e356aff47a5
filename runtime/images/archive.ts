import {
  createReadStream,
  createWriteStream,
  existsSync,
  readFileSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { join, resolve as absolute } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CommandError, run, type ToolCommand } from '../command.ts';
import { compressionOf, decompress } from './compression.ts';
import { ImageError } from './image.ts';
import { installImage, installRootfs, sha256 } from './install.ts';
import { layerLimits } from './layer-limits.ts';
import { endsWithUs } from './lifetime.ts';
import { parseManifest } from './manifest.ts';
import { piped } from './piped.ts';
import { type ImageRecord, writeRef } from './records.ts';
import { canonical, type Reference } from './reference.ts';
import { copyArchive, runSkopeo } from './skopeo.ts';
import { ByteReader } from './tar/bytes.ts';
import { readEntry, skipPadding } from './tar/entry.ts';
import { type Progress, type Store, withWorkplace } from './workplace.ts';

/** What a file or directory to import can be; the first three are skopeo's names. */
type ArchiveKind = 'docker-archive' | 'oci-archive' | 'oci' | 'rootfs-tar' | 'rootfs-directory';

/**
 * Brings a docker-archive (`docker save`), an OCI layout (a directory, or a tar of it), or a root file system (a tar,
 * maybe compressed, or a directory) into the store, under that name. Throws ImageError.
 */
export async function importArchive(
  store: Store,
  reference: Reference,
  path: string,
  progress: Progress,
): Promise<ImageRecord> {
  const kind = await archiveKind(path);
  progress(`importing ${path} (${kind})`);
  return await withWorkplace(store, progress, async (work) => {
    const image = await install(store, work, kind, path, progress);
    writeRef(store.layout, reference, { ref: canonical(reference), digest: image.digest });
    return image;
  });
}

async function install(
  store: Store,
  work: string,
  kind: ArchiveKind,
  path: string,
  progress: Progress,
): Promise<ImageRecord> {
  if (kind === 'rootfs-tar') return await installRootfs(store, work, createReadStream(path));
  if (kind === 'rootfs-directory') return await importDirectory(store, work, path);
  return await importImage(store, work, kind, path, progress);
}

/** Looks at what the file or directory holds. Throws ImageError when it is nothing of the kind. */
async function archiveKind(path: string): Promise<ArchiveKind> {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) throw new ImageError(`${path}: no such file or directory`);
  if (stats.isDirectory()) return existsSync(join(path, 'oci-layout')) ? 'oci' : 'rootfs-directory';
  if (!stats.isFile()) throw new ImageError(`${path} is neither a file nor a directory`);
  const names = new Set<string>();
  const source = createReadStream(path);
  try {
    const reader = new ByteReader(decompress(source));
    for (let entry = await readEntry(reader); entry; entry = await readEntry(reader)) {
      const [top = ''] = entry.path.replace(/^(?:\.?\/)+/, '').split('/');
      // Image archives hold nothing but these at the top: the first other name tells a root file system.
      if (top !== '' && top !== '.' && !archiveNames.test(top)) return 'rootfs-tar';
      names.add(top);
      await reader.skip(entry.size);
      await skipPadding(reader, entry.size);
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ImageError(`${path}: ${why}`, { cause });
  } finally {
    source.destroy();
  }
  // Docker 25 and later save both forms in one file; the OCI one keeps the digests.
  if (names.has('oci-layout')) return 'oci-archive';
  return names.has('manifest.json') ? 'docker-archive' : 'rootfs-tar';
}

const archiveNames =
  /^(?:oci-layout|index\.json|manifest\.json|repositories|blobs|[0-9a-f]{64}(?:\.json|\.tar)?)$/;

async function importImage(
  store: Store,
  work: string,
  kind: 'docker-archive' | 'oci-archive' | 'oci',
  path: string,
  progress: Progress,
): Promise<ImageRecord> {
  await placeArchive(path, join(work, 'archive'));
  await runSkopeo(store.contain(work, copyArchive(kind, 'archive', work)));
  const blobs = join(work, 'layout', 'blobs', 'sha256');
  const index = parseManifest(readFileSync(join(work, 'layout', 'index.json')));
  const digest = index.kind === 'index' ? index.manifests[0]?.digest : undefined;
  if (digest === undefined) throw new ImageError(`${path}: it holds no image`);
  const bytes = readFileSync(join(blobs, digest.slice('sha256:'.length)));
  const manifest = parseManifest(bytes);
  if (manifest.kind === 'index') throw new ImageError(`${path}: it holds images for several platforms`);
  const config = readFileSync(join(blobs, manifest.config.digest.slice('sha256:'.length)));
  return await installImage(store, work, { digest: sha256(bytes), manifest, config, blobs }, progress);
}

/**
 * Puts the archive, uncompressed, under a name that has no `:`, to which skopeo's syntax gives a meaning. (skopeo
 * 1.9 says that it decompresses, but cannot read its own result.)
 */
async function placeArchive(path: string, place: string): Promise<void> {
  const compressed = statSync(path).isFile() && compressionOf(await firstBytes(path)) !== 'none';
  if (!compressed) {
    symlinkSync(absolute(path), place);
    return;
  }
  let bytes = 0;
  await pipeline(
    createReadStream(path),
    decompress,
    async function* (source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        bytes += chunk.length;
        if (bytes > layerLimits.bytes)
          throw new ImageError(`it unpacks to more than ${layerLimits.bytes} bytes`);
        yield chunk;
      }
    },
    createWriteStream(place),
  );
}

async function firstBytes(path: string): Promise<Buffer> {
  const source = createReadStream(path, { end: 5 });
  return await new ByteReader(source).peek(6);
}

async function importDirectory(store: Store, work: string, path: string): Promise<ImageRecord> {
  const how = [
    '--create',
    '--file=-',
    '--format=posix',
    '--sort=name',
    '--numeric-owner',
    '--one-file-system',
  ];
  const args = [...how, '--xattrs', '--xattrs-include=*', '--directory', absolute(path), '.'];
  try {
    return await installFrom(store, work, { file: 'tar', args }, () => {});
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    throw new ImageError(`${path} cannot be read: ${cause.message}`, { cause });
  }
}

/**
 * Makes an image of the tar that a command prints; `onLine` gets what it says meanwhile. Throws the command's
 * CommandError, or ImageError.
 */
export async function installFrom(
  store: Store,
  work: string,
  command: ToolCommand,
  onLine: (line: string) => void,
): Promise<ImageRecord> {
  return await piped(
    (take) => run(endsWithUs(command), { onStderrLine: onLine, onStdout: take }),
    (tar) => installRootfs(store, work, tar),
  );
}
