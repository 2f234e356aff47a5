import { ImageError } from '../image.ts';
import type { ByteReader } from './bytes.ts';
import { blockSize, parseHeader, type TarHeader } from './header.ts';
import { parsePax } from './pax.ts';

export type EntryKind = 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo' | 'device';

/** One entry of a tar archive with all extension headers applied. Strings are bytes, as latin1. */
export interface TarEntry {
  readonly kind: EntryKind;
  /** As written in the archive: not yet normalised. */
  readonly path: string;
  /** Target of a symlink or hard link, else ''. */
  readonly target: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of data that follow in the stream; 0 for all but files. */
  readonly size: number;
  /** Seconds; may have a fraction. */
  readonly mtime: number;
  readonly xattrs: ReadonlyMap<string, string>;
}

/** Most bytes of one extension header (a long name, a set of pax records): room for 15 xattrs of full size. */
const extensionBytes = 1024 * 1024;
/** Extension headers before one entry; three (pax, long name, long link) are all that any writer makes. */
const extensionCount = 8;

/** Bytes of padding after `size` bytes of data. */
export function padding(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

/**
 * Passes over what pads `size` bytes of data that have been read. The last entry may lack all of it: umoci 0.4 makes
 * layers so, which engines take whose reader is Go's.
 */
export async function skipPadding(reader: ByteReader, size: number): Promise<void> {
  if ((await reader.peek(1)).length > 0) await reader.skip(padding(size));
}

/**
 * Reads up to the next entry; its data is then next in the reader. Undefined at the end of the archive. Sole
 * interpreter of the archive: what it understands is written anew for the extractor, so the two cannot disagree.
 * Throws ImageError.
 */
export async function readEntry(reader: ByteReader): Promise<TarEntry | undefined> {
  const pax = new Map<string, string>();
  for (let extensions = 0; ; extensions++) {
    const block = await reader.peek(blockSize);
    // Some writers leave out the end-of-archive blocks.
    if (block.length === 0) return undefined;
    const header = parseHeader(await reader.take(blockSize));
    if (header === 'end') return undefined;
    if (!'xgLKV'.includes(header.type)) return entry(header, pax);
    if (extensions === extensionCount) throw new ImageError('it has too many extension headers in a row');
    if (header.size < 0 || header.size > extensionBytes)
      throw new ImageError('an extension header is too long');
    const data = await reader.take(header.size);
    await reader.skip(padding(header.size));
    if (header.type === 'x') for (const [key, value] of parsePax(data)) pax.set(key, value);
    // GNU long name and long link: the name, NUL-terminated. Global headers (g) and volume labels (V) say nothing
    // about one file, and every container engine passes over them.
    if (header.type === 'L') pax.set('path', cString(data));
    if (header.type === 'K') pax.set('linkpath', cString(data));
  }
}

function cString(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString('latin1', 0, end < 0 ? data.length : end);
}

function entry(header: TarHeader, pax: ReadonlyMap<string, string>): TarEntry {
  const path = pax.get('path') || header.name;
  const kind = kindOf(header.type, path);
  if (header.type === 'S' || [...pax.keys()].some((key) => key.startsWith('GNU.sparse'))) {
    throw new ImageError(`'${path}' is a GNU sparse file: make the archive without --sparse`);
  }
  const numeric = (key: string, fallback: number) => {
    const value = pax.get(key);
    if (!value) return fallback;
    if (!/^-?[0-9]{1,16}(?:\.[0-9]*)?$/.test(value))
      throw new ImageError(`'${path}' has an impossible ${key}`);
    return Number(value);
  };
  const size = numeric('size', header.size);
  if (!Number.isSafeInteger(size) || size < 0) throw new ImageError(`'${path}' has an impossible size`);
  const target = kind === 'symlink' || kind === 'hardlink' ? pax.get('linkpath') || header.linkName : '';
  if (path.includes('\0') || target.includes('\0')) throw new ImageError('a name in it contains a NUL byte');
  const xattrs = new Map<string, string>();
  for (const [key, value] of pax) {
    if (key.startsWith(xattrPrefix)) xattrs.set(key.slice(xattrPrefix.length), value);
  }
  return {
    kind,
    path,
    target,
    mode: header.mode,
    uid: numeric('uid', header.uid),
    gid: numeric('gid', header.gid),
    // Links, directories and devices have no data, whatever the field says (as GNU tar and Go read it).
    size: kind === 'file' ? size : 0,
    mtime: numeric('mtime', header.mtime),
    xattrs,
  };
}

/** How GNU tar and Go write an extended attribute into a pax header. */
export const xattrPrefix = 'SCHILY.xattr.';

function kindOf(type: string, path: string): EntryKind {
  switch (type) {
    case '0':
    case '\0':
    case '7':
      // The oldest format marks a directory by a slash only.
      return path.endsWith('/') ? 'directory' : 'file';
    case '1':
      return 'hardlink';
    case '2':
      return 'symlink';
    case '3':
    case '4':
      return 'device';
    case '5':
      return 'directory';
    case '6':
      return 'fifo';
    case 'S':
      return 'file';
    default:
      throw new ImageError(`'${path}' is of an unknown type (${JSON.stringify(type)})`);
  }
}
