import { type EntryKind, padding, type TarEntry, xattrPrefix } from './entry.ts';
import { blockSize } from './header.ts';
import { formatPax } from './pax.ts';

/** What can be written: all but an image's devices, and whiteouts, for overlayfs a character device 0:0. */
export type WritableEntry = Omit<TarEntry, 'kind'> & {
  readonly kind: Exclude<EntryKind, 'device'> | 'whiteout';
};

const typeFlags = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  whiteout: '3',
  directory: '5',
  fifo: '6',
} as const;

/** The two zero blocks that end an archive. */
export const endOfArchive: Buffer = Buffer.alloc(2 * blockSize);

/**
 * Encodes the header of an entry for GNU tar; `size` bytes of data and padding are to follow. Long names go into
 * GNU headers, not pax ones: tar would convert those between character sets.
 */
export function encodeEntry(entry: WritableEntry): Buffer {
  const blocks: Buffer[] = [];
  const name = entry.kind === 'directory' ? `${entry.path}/` : entry.path;
  const pax: (readonly [string, string])[] = [];
  if (!Number.isInteger(entry.mtime) || entry.mtime < 0) pax.push(['mtime', String(entry.mtime)]);
  for (const [key, value] of entry.xattrs) pax.push([`${xattrPrefix}${key}`, value]);
  if (pax.length > 0) blocks.push(...extension('x', formatPax(pax)));
  if (name.length > 100) blocks.push(...extension('L', Buffer.from(`${name}\0`, 'latin1')));
  if (entry.target.length > 100) blocks.push(...extension('K', Buffer.from(`${entry.target}\0`, 'latin1')));
  blocks.push(header({ ...entry, path: name, type: typeFlags[entry.kind] }));
  return Buffer.concat(blocks);
}

function extension(type: 'x' | 'L' | 'K', data: Buffer): Buffer[] {
  const described = {
    path: '././@LongLink',
    target: '',
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: 0,
    size: data.length,
  };
  return [header({ ...described, type }), data, Buffer.alloc(padding(data.length))];
}

type HeaderFields = Pick<TarEntry, 'path' | 'target' | 'mode' | 'uid' | 'gid' | 'size' | 'mtime'> & {
  readonly type: string;
};

function header(fields: HeaderFields): Buffer {
  const block = Buffer.alloc(blockSize);
  block.write(fields.path.slice(0, 100), 0, 'latin1');
  octal(block, 100, 8, fields.mode);
  octal(block, 108, 8, fields.uid);
  octal(block, 116, 8, fields.gid);
  octal(block, 124, 12, fields.size);
  octal(block, 136, 12, Math.max(0, Math.floor(fields.mtime)));
  block.write(fields.type, 156, 'latin1');
  block.write(fields.target.slice(0, 100), 157, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  octal(block, 329, 8, 0);
  octal(block, 337, 8, 0);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function octal(block: Buffer, offset: number, length: number, value: number): void {
  const digits = value.toString(8).padStart(length - 1, '0');
  if (digits.length < length) {
    block.write(digits, offset, 'latin1');
    return;
  }
  // Too large for octal: GNU's base-256, big-endian with the top bit set. Safe integers fit in 7 bytes.
  block.writeUInt8(0x80, offset);
  block.writeBigUInt64BE(BigInt(value), offset + length - 8);
}
