import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { ImageError } from './image.ts';
import { ByteReader } from './tar/bytes.ts';
import { zstdFrames, zstdMagic } from './zstd-frames.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

/** What the first bytes (six suffice) tell. Throws ImageError for a compression that is not supported. */
export function compressionOf(head: Buffer): Compression {
  const hex = head.toString('hex');
  if (hex.startsWith('1f8b')) return 'gzip';
  if (head.length >= 4 && isZstd(head.readUInt32LE())) return 'zstd';
  if (hex.startsWith('fd377a585a00') || hex.startsWith('425a68')) {
    throw new ImageError('it is compressed with xz or bzip2; use gzip, zstd, or an uncompressed tar');
  }
  return 'none';
}

/**
 * Decompresses gzip and zstd and passes anything else through. It goes by the first bytes, not by the media type:
 * registries are full of images where the two differ, and the digest of the result is checked anyway. Throws
 * ImageError for other compressions, zlib's errors for damaged data.
 */
export async function* decompress(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source);
  const compression = compressionOf(await reader.peek(6));
  if (compression === 'gzip') {
    yield* pipeline(Readable.from(reader.remainder()), createGunzip(), ignore);
  } else if (compression === 'zstd') {
    yield* pipeline(Readable.from(zstdFrames(reader)), createZstdDecompress(), ignore);
  } else {
    yield* reader.remainder();
  }
}

function isZstd(magic: number): boolean {
  return magic === zstdMagic || magic >>> 4 === 0x184d2a5;
}

// The error arrives where the stream is read.
function ignore(): void {}
