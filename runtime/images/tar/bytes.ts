import { ImageError } from '../image.ts';

/** Takes a stream apart into pieces of known length, holding no more than one piece and one chunk. */
export class ByteReader {
  readonly #source: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, left in the stream; fewer only where the stream ends. */
  async peek(length: number): Promise<Buffer> {
    while (this.#rest.length < length) {
      const next = await this.#source.next();
      if (next.done) break;
      this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
    }
    return this.#rest.subarray(0, length);
  }

  /** The next `length` bytes. Throws ImageError where the stream ends before. */
  async take(length: number): Promise<Buffer> {
    const bytes = await this.peek(length);
    if (bytes.length < length) throw truncated();
    this.#rest = this.#rest.subarray(length);
    return bytes;
  }

  /** The next `length` bytes as they come. Throws ImageError where the stream ends before. */
  async *pass(length: number): AsyncGenerator<Buffer> {
    for (let left = length; left > 0; ) {
      if ((await this.peek(1)).length === 0) throw truncated();
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  async skip(length: number): Promise<void> {
    for await (const _ of this.pass(length));
  }

  /** Everything up to the end. */
  async *remainder(): AsyncGenerator<Buffer> {
    while ((await this.peek(1)).length > 0) {
      const piece = this.#rest;
      this.#rest = piece.subarray(piece.length);
      yield piece;
    }
  }
}

function truncated(): ImageError {
  return new ImageError('the data ends too early');
}
