import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** What of an image is to differ from a sound one with gzip layers. */
export interface Recipe {
  /** Uncompressed layer tars, bottom first. */
  readonly layers: readonly Buffer[];
  readonly compress?: (tar: Buffer) => Buffer;
  readonly mediaType?: string;
  readonly config?: object;
  readonly architecture?: string;
  /** Changes the DiffIDs that the config states. */
  readonly diffIds?: (ids: string[]) => string[];
  /** Changes the manifest before it is written. */
  readonly manifest?: (manifest: { layers: object[] }) => object;
}

export const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
export const architecture = process.arch === 'x64' ? 'amd64' : process.arch;

/** Writes an OCI layout with one image; returns the digest of its manifest and the file of each blob. */
export function writeLayout(
  dir: string,
  recipe: Recipe,
): { digest: string; blob: (digest: string) => string } {
  const blobs = join(dir, 'blobs', 'sha256');
  mkdirSync(blobs, { recursive: true });
  const blob = (digest: string) => join(blobs, digest.slice(7));
  const put = (bytes: Buffer) => {
    writeFileSync(blob(digestOf(bytes)), bytes);
    return { digest: digestOf(bytes), size: bytes.length };
  };
  const { compress = gzipSync, mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip' } = recipe;
  const ids = recipe.layers.map(digestOf);
  const config = {
    architecture: recipe.architecture ?? architecture,
    os: 'linux',
    config: recipe.config ?? { Env: ['PATH=/bin'], Cmd: ['sh'] },
    rootfs: { type: 'layers', diff_ids: recipe.diffIds?.(ids) ?? ids },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      ...put(Buffer.from(JSON.stringify(config))),
    },
    layers: recipe.layers.map((tar) => ({ mediaType, ...put(compress(tar)) })),
  };
  const bytes = Buffer.from(JSON.stringify(recipe.manifest?.(manifest) ?? manifest));
  const described = { mediaType: manifest.mediaType, ...put(bytes) };
  writeFileSync(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [described] }));
  return { digest: described.digest, blob };
}
