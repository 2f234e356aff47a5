import { ImageError } from '../image.ts';

export const blockSize = 512;

/** One 512-byte header as it stands. Names are bytes, held as latin1 strings: a tar knows no encoding. */
export interface TarHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of data that follow, before padding. */
  readonly size: number;
  /** Seconds. */
  readonly mtime: number;
  readonly type: string;
  readonly linkName: string;
}

/** Parses a header block: v7, ustar or GNU; `end` for a block of zeros. Throws ImageError. */
export function parseHeader(block: Buffer): TarHeader | 'end' {
  if (block.every((byte) => byte === 0)) return 'end';
  if (!checksumFits(block)) throw new ImageError('it is no tar archive, or damaged (header checksum)');
  // GNU tar's own magic is `ustar  `; it keeps other things where POSIX has the prefix.
  const posix = text(block, 257, 6) === 'ustar' && block[262] === 0;
  const prefix = posix ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  return {
    name: prefix ? `${prefix}/${name}` : name,
    mode: number(block, 100, 8, 'mode') & 0o7777,
    uid: number(block, 108, 8, 'uid'),
    gid: number(block, 116, 8, 'gid'),
    size: number(block, 124, 12, 'size'),
    mtime: number(block, 136, 12, 'mtime'),
    type: String.fromCharCode(block[156] ?? 0),
    linkName: text(block, 157, 100),
  };
}

function text(block: Buffer, offset: number, length: number): string {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? length : end);
}

/** Octal digits, or with the top bit set a big-endian number (GNU), negative when it begins with 0xff. */
function number(block: Buffer, offset: number, length: number, field: string): number {
  const bytes = block.subarray(offset, offset + length);
  const first = bytes[0] ?? 0;
  let value: number;
  if (first & 0x80) {
    let big = BigInt(first === 0xff ? -1 : first & 0x7f);
    for (const byte of bytes.subarray(1)) big = big * 256n + BigInt(byte);
    value = Number(big);
  } else {
    const digits = text(block, offset, length).trim();
    if (!/^[0-7]*$/.test(digits)) throw new ImageError(`a tar header has a ${field} that is no number`);
    value = digits === '' ? 0 : Number.parseInt(digits, 8);
  }
  if (!Number.isSafeInteger(value)) throw new ImageError(`a tar header has an impossible ${field}`);
  return value;
}

function checksumFits(block: Buffer): boolean {
  // Old writers summed signed bytes; both are accepted, as every tar does.
  let unsigned = 8 * 32;
  let signed = 8 * 32;
  for (let i = 0; i < blockSize; i++) {
    if (i >= 148 && i < 156) continue;
    const byte = block[i] ?? 0;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const digits = text(block, 148, 8).trim();
  if (!/^[0-7]+$/.test(digits)) return false;
  const stated = Number.parseInt(digits, 8);
  return stated === unsigned || stated === signed;
}
