import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { ImageError } from '../../../runtime/images/image.ts';
import { layerLimits } from '../../../runtime/images/layer-limits.ts';
import { digestOf } from './image-builder.ts';
import { file, tar } from './tar-builder.ts';
import { scratch, unpack } from './unpacking.ts';

// Long and hard to compress, so that every stream is cut and damaged within its data.
const content = Array.from({ length: 100_000 }, (_, at) =>
  String.fromCharCode((at * at * 7 + (at >> 3)) & 0x7f),
).join('');
const archive = tar([file('a', content)]);
const half = archive.length >> 1;
const halves = [archive.subarray(0, half), archive.subarray(half)] as const;
/** RFC 8878: a frame of user data that decoders skip; zstd:chunked puts its index into one. */
const skippable = Buffer.from('502a4d1804000000deadbeef', 'hex');

describe('a blob', () => {
  const zstd = halves.map((part) => zstdCompressSync(part));
  it.each<[string, Buffer]>([
    ['a plain tar', archive],
    ['gzip', gzipSync(archive)],
    ['gzip of several members', Buffer.concat(halves.map((part) => gzipSync(part)))],
    ['zstd', zstdCompressSync(archive)],
    ['zstd of several frames', Buffer.concat(zstd)],
    [
      'zstd with skippable frames',
      Buffer.concat([skippable, zstd[0] ?? archive, skippable, zstd[1] ?? archive, skippable]),
    ],
  ])('may be %s', async (_what, blob) => {
    for (const chunk of [1000, 64 * 1024, 10_000_000]) {
      using outer = scratch();
      const stated = { digest: digestOf(blob), diffId: digestOf(archive), chunk };
      const { id, path } = await unpack(outer.path, blob, stated);
      expect(`sha256:${id}`).toBe(digestOf(archive));
      expect(readFileSync(join(path, 'a')).length).toBe(content.length);
    }
  });

  it('may be what the zstd tool makes, in one frame or many', async () => {
    for (const options of [['-1'], ['-19', '--check'], ['-1', '--no-check', '-B4096', '-T2']]) {
      using outer = scratch();
      const { stdout } = await run({ file: 'zstd', args: [...options, '-c'] }, { input: archive });
      await unpack(outer.path, stdout, { diffId: digestOf(archive) });
    }
  });

  it.each<[string, Buffer, string]>([
    ['cut gzip', gzipSync(archive).subarray(0, -20), 'damaged: unexpected end of file'],
    ['cut zstd', zstdCompressSync(archive).subarray(0, -20), 'ends too early'],
    ['cut tar', archive.subarray(0, 5000), 'ends too early'],
    ['tar cut in its padding', tar([file('a', 'x')]).subarray(0, 512 + 6), 'ends too early'],
    ['gzip with a flipped bit', flipped(gzipSync(archive)), 'damaged'],
    [
      'zstd with garbage behind',
      Buffer.concat([zstdCompressSync(archive), Buffer.from('garbage')]),
      'zstd stream is damaged',
    ],
    ['something else', Buffer.from('<html>'.repeat(200)), 'no tar archive'],
    ['xz', Buffer.from('fd377a585a000004', 'hex'), 'use gzip, zstd'],
    ['bzip2', Buffer.from('BZh91AY&SY'), 'use gzip, zstd'],
  ])('%s is refused', async (_what, blob, message) => {
    using outer = scratch();
    const refused = await unpack(outer.path, blob).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ImageError);
    expect(refused).toHaveProperty('message', expect.stringContaining(message));
  });

  it('must have the digest that the manifest says, and its content the DiffID', async () => {
    const blob = gzipSync(archive);
    const wrong = digestOf(Buffer.from('something else'));
    using one = scratch();
    await expect(unpack(one.path, blob, { digest: wrong })).rejects.toThrow(
      `its blob has the digest ${digestOf(blob)}, not ${wrong} as the image says`,
    );
    using other = scratch();
    await expect(unpack(other.path, blob, { diffId: wrong })).rejects.toThrow(
      `its uncompressed content has the digest ${digestOf(archive)}, not ${wrong} as the image says`,
    );
  });

  it('must not be a decompression bomb', async () => {
    using outer = scratch();
    const zeros = tar([file('zeros', Buffer.alloc(20_000_000).toString('latin1'))]);
    const limits = { ...layerLimits, ratioFrom: 1_000_000 };
    await expect(unpack(outer.path, gzipSync(zeros), { limits })).rejects.toThrow('a decompression bomb');
    using other = scratch();
    await unpack(other.path, zeros, { limits });
  });
});

function flipped(blob: Buffer): Buffer {
  const copy = Buffer.from(blob);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ 0x10;
  return copy;
}
