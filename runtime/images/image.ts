import type { RootLayers } from '../sandbox.ts';

/** What an image says about running it (the part of the OCI image config that we use). */
export interface ImageConfig {
  /** `KEY=value` */
  readonly env: readonly string[];
  /** Absolute; default `/`. */
  readonly workingDir: string;
  /** As in USER; '' is root. */
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
}

/** An image that is complete in the local store. */
export interface Image {
  /** The reference as the user wrote it. */
  readonly ref: string;
  /** `sha256:…` of the manifest. */
  readonly digest: string;
  readonly root: RootLayers;
  readonly config: ImageConfig;
}

/** The image cannot be had: unknown, unreachable, damaged, hostile or too large. The message says the remedy. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
}
