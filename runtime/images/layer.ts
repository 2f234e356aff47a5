import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CommandError, run, type ToolCommand } from '../command.ts';
import { decompress } from './compression.ts';
import { ImageError } from './image.ts';
import { type Dialect, filterLayer, type LayerTally } from './layer-filter.ts';
import { type LayerLimits, layerLimits } from './layer-limits.ts';
import { measure } from './measure.ts';

/** Wraps a command so that it can write below `dir`, its working directory, and nowhere else. */
export type Contain = (dir: string, command: ToolCommand) => ToolCommand;

export interface LayerSource {
  /** The layer as it came: a tar, maybe compressed. */
  readonly blob: Readable;
  /** `sha256:…` that the blob must have; undefined: not stated. */
  readonly digest: string | undefined;
  /** `sha256:…` that the uncompressed tar must have (DiffID); undefined: not stated. */
  readonly diffId: string | undefined;
}

export interface UnpackedLayer extends LayerTally {
  /** Lower-case hex, of the uncompressed tar. */
  readonly id: string;
}

/**
 * Unpacks a layer into the existing, empty `directory` and checks both digests. Throws ImageError when the layer is
 * corrupt, hostile or too large, or cannot be written; what is in the directory is then to be removed.
 */
export async function unpackLayer(
  source: LayerSource,
  directory: string,
  contain: Contain,
  limits: LayerLimits = layerLimits,
  dialect: Dialect = 'layer',
): Promise<UnpackedLayer> {
  const packed = measure();
  const plain = measure((bytes) => {
    if (bytes > limits.ratioFrom && bytes > limits.ratio * packed.bytes()) {
      throw new ImageError(`it unpacks to more than ${limits.ratio} times its size: a decompression bomb`);
    }
  });
  const tally: LayerTally = { bytes: 0, entries: 0, opaqueRoot: false };
  const output = new PassThrough();
  const aborter = new AbortController();
  const feeding = pipeline(
    source.blob,
    (bytes: AsyncIterable<Buffer>) => packed.through(bytes),
    decompress,
    (bytes: AsyncIterable<Buffer>) => plain.through(bytes),
    (tar: AsyncIterable<Buffer>) => filterLayer(tar, limits, tally, dialect),
    output,
    { signal: aborter.signal },
  );
  const extracting = run(contain(directory, extractor), { input: output }).then(
    // tar ends at the end-of-archive mark; what pads the archive behind it is still to be hashed.
    () => void output.resume(),
    (error: unknown) => {
      aborter.abort();
      throw error;
    },
  );
  const [fed, extracted] = await Promise.allSettled([feeding, extracting]);
  // A broken feed kills the extractor and a dead extractor ends the feed: the first cause is the one to tell.
  if (fed.status === 'rejected' && fed.reason?.name !== 'AbortError') throw broken(fed.reason);
  if (extracted.status === 'rejected') throw unwritten(extracted.reason);
  if (fed.status === 'rejected') throw broken(fed.reason);
  requireDigest('its blob', source.digest, packed.digest());
  requireDigest('its uncompressed content', source.diffId, plain.digest());
  return { id: plain.digest().slice('sha256:'.length), ...tally };
}

/** Names are relative and harmless by now; tar's own precautions stay on as a second line. */
const extractor: ToolCommand = {
  file: 'env',
  args: [
    'LC_ALL=C',
    'tar',
    '--extract',
    '--file=-',
    '--numeric-owner',
    '--same-owner',
    '--preserve-permissions',
    '--xattrs',
    '--xattrs-include=*',
    '--warning=no-timestamp',
  ],
};

function requireDigest(what: string, stated: string | undefined, found: string): void {
  if (stated !== undefined && stated !== found) {
    throw new ImageError(`${what} has the digest ${found}, not ${stated} as the image says`);
  }
}

function broken(cause: unknown): ImageError {
  if (cause instanceof ImageError) return cause;
  return new ImageError(`it is damaged: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
}

function unwritten(cause: unknown): ImageError {
  if (cause instanceof CommandError && /No space left on device|Disk quota exceeded/.test(cause.stderr)) {
    return new ImageError('the disk is full; free some space, for example with `cofferdam image prune`', {
      cause,
    });
  }
  return new ImageError(`unpacking failed: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
}
