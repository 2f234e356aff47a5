/** What one layer may hold at most. Beyond it the layer is refused: no real image comes near. */
export interface LayerLimits {
  /** Sum of the sizes of its files. */
  readonly bytes: number;
  /** Entries, missing parent directories included; each costs about 200 bytes of memory while unpacking. */
  readonly entries: number;
  /** Length of one path in bytes: below PATH_MAX (4096) with room for what a build mounts it under. */
  readonly pathBytes: number;
  /**
   * Unpacked bytes per compressed byte, looked at only above `ratioFrom` unpacked bytes. Binaries and text reach
   * 10; gzip's own maximum, a file of zeros, is about 1030.
   */
  readonly ratio: number;
  readonly ratioFrom: number;
}

const GiB = 1024 ** 3;

export const layerLimits: LayerLimits = {
  bytes: 32 * GiB,
  entries: 2_000_000,
  pathBytes: 3_500,
  ratio: 200,
  ratioFrom: GiB,
};

/** Layers of one image; overlayfs takes no more lower directories. */
export const maxLayers = 500;

/**
 * Highest uid and gid of an image's files: a build's user namespace maps 65,536 ids, and a file whose owner is not
 * mapped could be neither read nor replaced.
 */
export const maxId = 65_535;
