import { randomUUID } from 'node:crypto';
import { createWriteStream, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve as absolute } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CommandError, run, type ToolCommand } from '../command.ts';
import { type ImageConfig, ImageError } from './image.ts';
import { sha256 } from './install.ts';
import { packLayer } from './layer-pack.ts';
import { hexOf, layerDirectory } from './layout.ts';
import { endsWithUs } from './lifetime.ts';
import { machineArchitecture } from './architecture.ts';
import { measure } from './measure.ts';
import { piped } from './piped.ts';
import type { ImageRecord } from './records.ts';
import { type Progress, type Store, withWorkplace } from './workplace.ts';

/**
 * Writes an image of the store into a file: a tar of an OCI layout, which also has the manifest.json that `docker load`
 * wants. Layers are not compressed. They are packed from what was unpacked, so their digests, and the image's, are not
 * those that it came with, but the same each time. Throws ImageError; the file is then as before.
 *
 * @param name by which Docker is to know it
 * @returns the digest of the manifest in the file
 */
export async function exportImage(
  store: Store,
  image: ImageRecord,
  name: string,
  file: string,
  progress: Progress,
): Promise<string> {
  return await withWorkplace(store, progress, async (work) => {
    const layout = join(work, 'layout');
    const blobs = join(layout, 'blobs', 'sha256');
    mkdirSync(blobs, { recursive: true });
    const layers: Blob[] = [];
    for (const [at, { id }] of image.layers.entries()) {
      progress(`packing layer ${at + 1} of ${image.layers.length}`);
      layers.push(await packed(layerDirectory(store.layout, id), blobs));
    }
    const put = (document: object): Blob => {
      const bytes = Buffer.from(JSON.stringify(document));
      const digest = sha256(bytes);
      writeFileSync(join(blobs, hexOf(digest)), bytes);
      return { digest, size: bytes.length };
    };
    const config = put(configOf(image, layers));
    const manifest = put({
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: layers.map((blob) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...blob })),
    });
    const at = ({ digest }: Blob) => `blobs/sha256/${hexOf(digest)}`;
    const files = {
      'oci-layout': { imageLayoutVersion: '1.0.0' },
      'index.json': { schemaVersion: 2, manifests: [{ mediaType: manifestType, ...manifest }] },
      'manifest.json': [{ Config: at(config), RepoTags: tagsOf(name), Layers: layers.map(at) }],
    };
    for (const [path, document] of Object.entries(files)) {
      writeFileSync(join(layout, path), JSON.stringify(document));
    }
    await writeArchive(layout, ['oci-layout', 'index.json', 'manifest.json', 'blobs'], absolute(file));
    return manifest.digest;
  });
}

interface Blob {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json';

const tarOptions = ['--create', '--format=posix', '--sort=name', '--numeric-owner', '--one-file-system'];

async function packed(directory: string, blobs: string): Promise<Blob> {
  const xattrs = ['--xattrs', '--xattrs-include=*'];
  const command = {
    file: 'tar',
    args: [...tarOptions, '--file=-', ...xattrs, '--directory', directory, '.'],
  };
  const counted = measure();
  const temporary = join(blobs, 'packing');
  await piped(
    (take) => run(endsWithUs(command), { onStdout: take }),
    (tar) =>
      pipeline(
        tar,
        packLayer,
        (bytes: AsyncIterable<Buffer>) => counted.through(bytes),
        createWriteStream(temporary),
      ),
  );
  renameSync(temporary, join(blobs, hexOf(counted.digest())));
  return { digest: counted.digest(), size: counted.bytes() };
}

function configOf({ config }: ImageRecord, layers: readonly Blob[]): object {
  return {
    architecture: machineArchitecture(),
    os: 'linux',
    config: runningOf(config),
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  };
}

function runningOf({ env, workingDir, user, entrypoint, cmd, healthcheck }: ImageConfig): object {
  return {
    Env: env,
    WorkingDir: workingDir,
    ...(user !== '' && { User: user }),
    ...(entrypoint.length > 0 && { Entrypoint: entrypoint }),
    ...(cmd.length > 0 && { Cmd: cmd }),
    // Docker counts in nanoseconds.
    ...(healthcheck && {
      Healthcheck: { Test: ['CMD', ...healthcheck.args], Timeout: healthcheck.timeoutMs * 1e6 },
    }),
  };
}

/** What Docker takes for a name; a bootstrapped image has none. */
function tagsOf(name: string): string[] {
  const tagged = /:[^/]*$/.test(name) ? name : `${name}:latest`;
  return /^[a-z0-9][a-z0-9._/-]*(?::[0-9]+\/[a-z0-9._/-]+)?:[\w][\w.-]{0,127}$/.test(tagged) &&
    !name.startsWith('bootstrap:')
    ? [tagged]
    : [];
}

/** Whole or not at all. */
async function writeArchive(layout: string, names: readonly string[], file: string): Promise<void> {
  const temporary = `${file}.${randomUUID()}`;
  const command: ToolCommand = {
    file: 'tar',
    args: [
      ...tarOptions,
      `--file=${temporary}`,
      '--force-local',
      '--owner=0',
      '--group=0',
      '--directory',
      layout,
      ...names,
    ],
  };
  try {
    await run(endsWithUs(command));
    renameSync(temporary, file);
  } catch (cause) {
    rmSync(temporary, { force: true });
    if (!(cause instanceof CommandError) && !(cause instanceof Error && 'code' in cause)) throw cause;
    const why = cause instanceof CommandError ? cause.stderr.trim().split('\n')[0] : cause.message;
    throw new ImageError(`${file} cannot be written: ${why}`, { cause });
  }
}
