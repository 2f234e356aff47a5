import { createHash } from 'node:crypto';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { Problem } from './problem.ts';

/** Media types of a tar, plain or wrapped. */
export const tarTypes = ['application/x-tar', 'application/gzip', 'application/zstd'] as const;

const encodings = ['identity', 'gzip', 'zstd'] as const;
export type Encoding = (typeof encodings)[number];

/** What a tar is wrapped in, by its headers. Throws Problem (415). */
export function encodingOf(contentType: string | undefined, contentEncoding = 'identity'): Encoding {
  if (/^application\/(x-)?gzip\b/i.test(contentType ?? '')) return 'gzip';
  if (/^application\/(x-)?zstd\b/i.test(contentType ?? '')) return 'zstd';
  const named = contentEncoding.toLowerCase().replace('x-gzip', 'gzip');
  const found = encodings.find((each) => each === named);
  if (found) return found;
  throw new Problem(415, `Content-Encoding is '${contentEncoding}'; use ${encodings.join(', ')}`, {
    headers: { 'accept-encoding': encodings.join(', ') },
  });
}

/**
 * The bytes of a tar as they come, decoded and checked; `digest` (SHA-256, hex) is asked for when all have come.
 * Throws Problem: 400 (no tar, damaged), 413, and what the body says.
 */
export function readTar(body: Readable, encoding: Encoding, maxBytes: number) {
  const hash = createHash('sha256');
  return {
    chunks: chunks(),
    digest: () => hash.digest('hex'),
  };

  async function* chunks(): AsyncGenerator<Buffer> {
    let bytes = 0;
    let head: Buffer | undefined = Buffer.alloc(0);
    try {
      for await (const chunk of decoded(body, encoding) as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > maxBytes) throw new Problem(413, `the tar is larger than ${maxBytes} bytes`);
        if (head) {
          head = Buffer.concat([head, chunk]);
          if (head.length < blockBytes) continue;
          checkHead(head);
          hash.update(head);
          yield head;
          head = undefined;
        } else {
          hash.update(chunk);
          yield chunk;
        }
      }
    } catch (error) {
      throw damage(error, encoding);
    }
    if (head) throw notTar();
  }
}

function decoded(body: Readable, encoding: Encoding): Readable {
  if (encoding === 'identity') return body;
  const decoder = encoding === 'gzip' ? createGunzip() : createZstdDecompress();
  // The error of either is thrown by whoever reads the decoder.
  pipeline(body, decoder, () => {});
  return decoder;
}

function damage(error: unknown, encoding: Encoding): unknown {
  if (!(error instanceof Error && 'code' in error && /^(Z_|ZSTD_)/.test(String(error.code)))) return error;
  return new Problem(400, `the body is no valid ${encoding} data`, { cause: error });
}

const blockBytes = 512;
const notTar = () => new Problem(400, 'the body is no tar; a compressed one needs its Content-Encoding');

/** The checksum of the first header (POSIX pax, "ustar Interchange Format"); an empty tar is all zeros. */
function checkHead(head: Buffer): void {
  const block = Buffer.from(head.subarray(0, blockBytes));
  if (block.every((byte) => byte === 0)) return;
  const stated = Number.parseInt(block.toString('latin1', 148, 156).replaceAll('\0', ' ').trim(), 8);
  block.fill(' ', 148, 156);
  if (block.reduce((sum, byte) => sum + byte, 0) !== stated) throw notTar();
}
