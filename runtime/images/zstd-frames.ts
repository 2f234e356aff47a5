import { ImageError } from './image.ts';
import type { ByteReader } from './tar/bytes.ts';

/** RFC 8878, 3.1.1: the magic number that begins a frame. */
export const zstdMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;

/**
 * Passes a zstd stream through in pieces that never cross the end of a frame, without skippable frames: Node's
 * decompressor forgets what follows a frame in the same piece. Multi-frame streams are common (zstd:chunked, pzstd).
 * Throws ImageError.
 */
export async function* zstdFrames(reader: ByteReader): AsyncGenerator<Buffer> {
  while ((await reader.peek(1)).length > 0) {
    const magic = (await reader.peek(4)).length === 4 ? (await reader.peek(4)).readUInt32LE() : 0;
    if (magic >>> 4 === skippableMagic >>> 4) {
      await reader.skip(4);
      await reader.skip((await reader.take(4)).readUInt32LE());
      continue;
    }
    if (magic !== zstdMagic)
      throw new ImageError('its zstd stream is damaged (no frame where one should begin)');
    yield* frame(reader);
  }
}

async function* frame(reader: ByteReader): AsyncGenerator<Buffer> {
  const descriptor = (await reader.peek(5))[4] ?? 0;
  const singleSegment = (descriptor & 0x20) !== 0;
  const checksum = (descriptor & 0x04) !== 0;
  const dictionaryId = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  yield* reader.pass(4 + 1 + (singleSegment ? 0 : 1) + dictionaryId + contentSize);
  for (let last = false; !last; ) {
    const header = await reader.take(3);
    const bits = header.readUIntLE(0, 3);
    last = (bits & 1) === 1;
    const repeated = ((bits >> 1) & 3) === 1;
    yield header;
    yield* reader.pass(repeated ? 1 : bits >> 3);
  }
  if (checksum) yield* reader.pass(4);
}
