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
  /** How to see that what it runs does its work (HEALTHCHECK); undefined: it does not say. */
  readonly healthcheck?: {
    readonly args: readonly [string, ...string[]];
    /** Milliseconds that one look may take. */
    readonly timeoutMs: number;
  };
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

/**
 * `unusable`: unknown, damaged, hostile or too large: so it will stay. `unavailable`: the registry or the disk may do
 * better in a while.
 */
export type ImageTrouble = 'unusable' | 'unavailable';

/** The image cannot be had. The message says why and the remedy. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly trouble: ImageTrouble;

  /** Without `trouble` it is that of the cause, else `unusable`. */
  constructor(message: string, options: ErrorOptions & { readonly trouble?: ImageTrouble } = {}) {
    super(message, options);
    const { cause } = options;
    this.trouble = options.trouble ?? (cause instanceof ImageError ? cause.trouble : 'unusable');
  }
}
