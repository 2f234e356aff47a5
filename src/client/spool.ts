import { createHash } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress } from 'node:zlib';
import { ulid } from 'ulid';

/** Bytes that are kept, compressed, until they are sent; in a file without a name, so that nothing is ever left. */
export interface Spool extends AsyncDisposable {
  write(chunk: Buffer): Promise<void>;
  /** Once, when all is written. */
  end(): Promise<{ readonly digest: string; readonly bytes: number; readonly zstd: Blob }>;
}

/** Errors are those of the filesystem for temporary files (TMPDIR). */
export async function createSpool(): Promise<Spool> {
  const path = join(tmpdir(), `cofferdam-${ulid()}`);
  const file = await open(path, 'wx+', 0o600);
  await rm(path);
  const hash = createHash('sha256');
  let bytes = 0;
  const input = new PassThrough();
  const written = pipeline(input, createZstdCompress(), async (chunks: AsyncIterable<Buffer>) => {
    // A stream of the file would keep it from being closed.
    for await (const chunk of chunks) await file.appendFile(chunk);
  });
  // Whoever writes or ends hears of it.
  written.catch(() => {});

  return {
    write: async (chunk) => {
      hash.update(chunk);
      bytes += chunk.length;
      if (input.write(chunk)) return;
      await Promise.race([new Promise((resolve) => input.once('drain', resolve)), written]);
    },
    end: async () => {
      input.end();
      await written;
      // Opens the nameless file anew: a blob reads by path, as often as it is sent.
      return { digest: hash.digest('hex'), bytes, zstd: await openAsBlob(`/proc/self/fd/${file.fd}`) };
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}
