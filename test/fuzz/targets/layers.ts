import { mkdirSync, mkdtempSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { ImageError } from '../../../runtime/images/image.ts';
import { type Contain, unpackLayer } from '../../../runtime/images/layer.ts';
import { layerLimits } from '../../../runtime/images/layer-limits.ts';
import type { Dialect } from '../../../runtime/images/layer-filter.ts';
import type { Random } from '../../random.ts';
import { type Entry, tar } from '../../runtime/images/tar-builder.ts';
import { mutateBytes, oneOf, textOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

const harmless = ['a', 'b', 'a/b', 'c', 'c/d', 'c/d/e', './f', '/g', 'h/'];
const names = [
  harmless,
  words(
    'a/b/c ./a a/ . ./ / .. ../evil a/../../evil a/.. .wh.a a/.wh.b .wh..wh..opq a/.wh..wh..opq .wh. .wh...',
  ),
  words('.wh..wh.x a//b -rf --checkpoint-action=exec=id \\ \\141 "a" * dev/null victim'),
  ['', 'a\nb', 'ü', '\u00ff\u00fe', 'x'.repeat(255), 'x'.repeat(256), 'p/'.repeat(60)],
].flat();
const targets = [...names, '../victim', '/etc/passwd', '../../..', '/proc/self/cwd', 'x'.repeat(4096)];
const ids = [0, 1, 65_535, 65_536, 0xffff_fffe, 2 ** 31];
const xattrs = words('user.a security.capability trusted.overlay.redirect user. user.overlay.opaque');
const paxKeys = [
  ...words('path linkpath size uid gid mtime comment GNU.sparse.major hdrcharset charset'),
  ...words('LIBARCHIVE.xattr.user.a SCHILY.acl.access RHT.security.selinux SCHILY.xattr.'),
  ...xattrs.map((name) => `SCHILY.xattr.${name}`),
];
const values = [
  words('0 1 -1 1e9 0.5 9999999999999999999 ../evil b'),
  ['', 'a\0b', '\n', '20 path=../evil\n', 'x'.repeat(300)],
].flat();
/** Mostly what real layers have; then damage, and what no reader knows. */
const types = [...Array.from('000000000111222222345555556677'), '\0', 'S', 'L', 'K', 'V', 'x', 'Z'];

/** Layers of images and trees of uploads: entries that each mean harm in some tar, and damage on top. */
export const layers: Target<readonly Entry[] | Buffer> = {
  name: 'layers',
  promise:
    'a layer is refused with an ImageError, or unpacks without touching anything outside; never fails to unpack',
  rounds: 350,
  outcomes: ['unpacked', 'refused'],
  cases: [],
  open: () => {
    const scratch = mkdtempSync(join(tmpdir(), 'cofferdam-fuzz-'));
    let count = 0;
    return {
      make: (random) => {
        const entries = Array.from({ length: random.between(1, 6) }, () => entryOf(random));
        return random.chance(0.5) ? entries : wrapped(random, damaged(random, tar(entries)));
      },
      check: async (input) => {
        const blob = Buffer.isBuffer(input) ? input : tar(input);
        const outcomes: string[] = [];
        for (const dialect of ['layer', 'tree', 'snapshot'] as const) {
          outcomes.push(await unpacked(join(scratch, String(count++)), blob, dialect));
        }
        return outcomes.includes('unpacked') ? 'unpacked' : 'refused';
      },
      close: () => rmSync(scratch, { recursive: true, force: true }),
    };
  },
};

function entryOf(random: Random): Entry {
  const some = <Item>(probability: number, item: () => Item): Item | undefined =>
    random.chance(probability) ? item() : undefined;
  const data = some(0.6, () => textOf(random, ['x', 'data', '\0', 'y'.repeat(600)], 3));
  const nameOf = (all: readonly string[]) => oneOf(random, random.chance(0.8) ? harmless : all);
  const path = nameOf(names);
  const pax = some(0.1, () => [[oneOf(random, paxKeys), oneOf(random, values)] as const]);
  const rare = {
    size: some(0.05, () => oneOf(random, [0, 1, 511, 513, 2 ** 33, 2 ** 63])),
    uid: some(0.04, () => oneOf(random, ids)),
    gid: some(0.04, () => oneOf(random, ids)),
    mode: some(0.3, () => oneOf(random, [0, 0o4755, 0o7777, 0o644])),
    paxType: some(0.1, () => 'g'),
  };
  return {
    path,
    type: oneOf(random, types),
    target: nameOf(targets),
    ...(data !== undefined && { data }),
    ...(pax && { pax }),
    ...Object.fromEntries(Object.entries(rare).filter(([, value]) => value !== undefined)),
  };
}

/** Damage that readers come to see: most of it is hidden by the checksum of a header otherwise. */
function damaged(random: Random, bytes: Buffer): Buffer {
  const result = mutateBytes(random, bytes);
  for (let at = 0; at + 512 <= result.length && random.chance(0.95); at += 512) {
    const header = result.subarray(at, at + 512);
    if (!header.includes('ustar')) continue;
    header.fill(' ', 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return result;
}

function wrapped(random: Random, bytes: Buffer): Buffer {
  const wrap = oneOf(random, [(plain: Buffer) => plain, gzipSync, zstdCompressSync]);
  return random.chance(0.2) ? mutateBytes(random, wrap(bytes)) : wrap(bytes);
}

async function unpacked(outer: string, blob: Buffer, dialect: Dialect): Promise<string> {
  const layer = join(outer, 'layer');
  mkdirSync(layer, { recursive: true });
  const victim = join(outer, 'victim');
  writeFileSync(victim, 'unharmed');
  const before = lstatSync(victim);
  const outcome = await unpackedTo(layer, blob, dialect);
  const after = lstatSync(victim);
  const unharmed = readFileSync(victim, 'utf8') === 'unharmed' && after.ctimeMs === before.ctimeMs;
  if (!unharmed || readdirSync(outer).join() !== 'layer,victim')
    throw new Error(`it reached beyond its directory: ${readdirSync(outer).join()}`);
  rmSync(outer, { recursive: true });
  return outcome;
}

async function unpackedTo(layer: string, blob: Buffer, dialect: Dialect): Promise<'unpacked' | 'refused'> {
  const source = { blob: Readable.from([blob], { objectMode: false }), digest: undefined, diffId: undefined };
  // Nothing contains the extractor here: what leaves the directory has got past the filter.
  const uncontained: Contain = (cwd, command) => ({ ...command, cwd });
  try {
    await unpackLayer(source, layer, uncontained, { ...layerLimits, bytes: 2 ** 20 }, dialect);
  } catch (error) {
    if (!(error instanceof ImageError) || error.message.startsWith('unpacking failed')) throw error;
    // A mistake of ours in reading it counts as its damage too.
    if (error.cause instanceof TypeError || error.cause instanceof RangeError) throw error;
    return 'refused';
  }
  examine(Buffer.from(layer), dialect);
  return 'unpacked';
}

/** What a sandbox can use, and nothing that means something to the host. */
function examine(directory: Buffer, dialect: Dialect): void {
  for (const found of readdirSync(directory, { encoding: 'buffer' })) {
    const path = Buffer.concat([directory, Buffer.from('/'), found]);
    const name = JSON.stringify(found.toString('latin1'));
    const stat = lstatSync(path);
    const whiteout = stat.isCharacterDevice() && stat.rdev === 0 && dialect === 'layer';
    if (stat.isBlockDevice() || (stat.isCharacterDevice() && !whiteout))
      throw new Error(`${name} is a device`);
    if (stat.uid > 65_535 || stat.gid > 65_535) throw new Error(`${name} belongs to ${stat.uid}:${stat.gid}`);
    const owned = stat.uid === 0 && stat.gid === 0 && (stat.mode & 0o7000) === 0;
    if (dialect === 'tree' && !owned && !stat.isSymbolicLink())
      throw new Error(`${name} is not plainly root's`);
    if (stat.isDirectory()) examine(path, dialect);
  }
}
