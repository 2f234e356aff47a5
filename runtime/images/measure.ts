import { createHash, type Hash } from 'node:crypto';

export interface Measure {
  /** That have passed so far. */
  bytes(): number;
  /** `sha256:…` of all that passed; only when all has. */
  digest(): string;
  through(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer>;
}

/** Counts and hashes what passes; `check` may throw at a number of bytes. */
export function measure(check: (bytes: number) => void = () => {}): Measure {
  const hash: Hash = createHash('sha256');
  let bytes = 0;
  let digest: string | undefined;
  return {
    bytes: () => bytes,
    digest: () => (digest ??= `sha256:${hash.digest('hex')}`),
    async *through(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of source) {
        hash.update(chunk);
        bytes += chunk.length;
        check(bytes);
        yield chunk;
      }
    },
  };
}
