import { execFileSync } from 'node:child_process';
import { lstatSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ImageError } from '../../../runtime/images/image.ts';
import { layerLimits } from '../../../runtime/images/layer-limits.ts';
import { digestOf } from './image-builder.ts';
import { directory, type Entry, file, hardlink, symlink, tar } from './tar-builder.ts';
import { census, scratch, unpack } from './unpacking.ts';

/** The attribute of a file as text; undefined when there is none. */
function xattr(path: string, name: string): string | undefined {
  const script =
    'import os,sys; p,n=sys.argv[1:]; sys.stdout.buffer.write(os.getxattr(p,n,follow_symlinks=False)) if n in os.listxattr(p,follow_symlinks=False) else sys.exit(9)';
  try {
    return execFileSync('python3', ['-c', script, path, name], { encoding: 'latin1', stdio: 'pipe' });
  } catch {
    return undefined;
  }
}

describe('a sound layer', () => {
  it('arrives with content, modes, owners, times and links', async () => {
    using outer = scratch();
    const { path, bytes, entries } = await unpack(
      outer.path,
      tar([
        directory('./', { mode: 0o750 }),
        directory('./bin/', { mode: 0o1777, uid: 7, gid: 8, mtime: 1234 }),
        file('./bin/su', 'root!', { mode: 0o4755, uid: 0, gid: 65_535, mtime: 5678 }),
        hardlink('./bin/su2', './bin/su'),
        symlink('./sh', '/bin/su'),
        symlink('./up', '../../..'),
        { path: './fifo', type: '6', mode: 0o600 },
        file('./empty'),
      ]),
    );
    expect(census(path)).toEqual(['bin', 'bin/su', 'bin/su2', 'empty', 'fifo', 'sh', 'up']);
    expect(lstatSync(path).mode & 0o7777).toBe(0o750);
    expect(lstatSync(join(path, 'bin'))).toMatchObject({ uid: 7, gid: 8, mtimeMs: 1_234_000, mode: 0o41777 });
    expect(lstatSync(join(path, 'bin/su'))).toMatchObject({
      gid: 65_535,
      mtimeMs: 5_678_000,
      mode: 0o104755,
      nlink: 2,
    });
    expect(readFileSync(join(path, 'bin/su2'), 'utf8')).toBe('root!');
    expect(readlinkSync(join(path, 'up'))).toBe('../../..');
    expect(lstatSync(join(path, 'fifo')).isFIFO()).toBe(true);
    expect({ bytes, entries }).toEqual({ bytes: 5, entries: 8 });
  });

  it.each([
    ['two empty blocks', 512 + 1024],
    ['one', 512 + 512],
    ['none', 512],
    ['none and no padding', 5],
  ])('may end with %s', async (_what, bytes) => {
    using outer = scratch();
    const whole = tar([file('a', 'first'), file('b', 'aaaaa')]);
    const { path } = await unpack(outer.path, whole.subarray(0, 512 + 512 + 512 + bytes));
    expect(readFileSync(join(path, 'b'), 'utf8')).toBe('aaaaa');
  });

  it.each([1, 7, 511, 512, 513, 10_000])('is the same in pieces of %i bytes', async (chunk) => {
    using outer = scratch();
    const data = Buffer.alloc(1500, 'abc');
    const { path } = await unpack(outer.path, tar([file('a', data.toString()), file('b/c', 'x')]), { chunk });
    expect(readFileSync(join(path, 'a'))).toEqual(data);
    expect(readFileSync(join(path, 'b/c'), 'utf8')).toBe('x');
  });

  it.each<[string, Entry, string]>([
    ['of 101 to 3,500 bytes (GNU)', file(`${'d/'.repeat(1700)}f`, 'x'), `${'d/'.repeat(1700)}f`],
    ['from pax', file('short', 'x', { pax: [['path', `${'p'.repeat(200)}/q`]] }), `${'p'.repeat(200)}/q`],
    ['that is no UTF-8', file('caf\u00e9', 'x'), 'caf\u00e9'],
    ['with a newline and a leading dash', file('-a\nb', 'x'), '-a\nb'],
    ['with dots, doubled slashes and a root', file('/./a//./b', 'x'), 'a/b'],
    ['that a wildcard would match', file('[a]*?', 'x'), '[a]*?'],
  ])('may have a name %s', async (_what, entry, name) => {
    using outer = scratch();
    const { path } = await unpack(outer.path, tar([entry]));
    expect(lstatSync(Buffer.concat([Buffer.from(`${path}/`), Buffer.from(name, 'latin1')])).size).toBe(1);
  });

  it('may have a long link target', async () => {
    using outer = scratch();
    const target = `${'t'.repeat(200)}/u`;
    const link = { ...symlink('s', ''), pax: [['linkpath', target]] as const };
    const { path } = await unpack(outer.path, tar([link]));
    expect(readlinkSync(join(path, 's'))).toBe(target);
  });

  it('may have times before 1970, and parts of a second', async () => {
    using outer = scratch();
    const { path } = await unpack(
      outer.path,
      tar(['-86400', '1.5', '-1.5'].map((time, i) => file(`f${i}`, 'x', { pax: [['mtime', time]] }))),
    );
    const times = ['f0', 'f1', 'f2'].map((name) => lstatSync(join(path, name)).mtimeMs);
    expect(times).toEqual([-86_400_000, 1500, -1500]);
  });

  it('may leave out directories: those belong to root and are open to all', async () => {
    using outer = scratch();
    const { path } = await unpack(outer.path, tar([file('a/b/c', 'x')]));
    expect(lstatSync(join(path, 'a/b'))).toMatchObject({ mode: 0o40755, uid: 0, gid: 0 });
  });

  it('may lack the end mark, and may have anything after it', async () => {
    using outer = scratch();
    const archive = tar([file('a', 'x')]);
    const { path } = await unpack(outer.path, archive.subarray(0, -1024));
    expect(census(path)).toEqual(['a']);
    using other = scratch();
    const more = Buffer.concat([archive, tar([file('hidden', 'x'.repeat(5000))])]);
    const { path: again } = await unpack(other.path, more, { diffId: digestOf(more), chunk: 1000 });
    expect(census(again)).toEqual(['a']);
  });

  it('may list a file twice: the last one counts', async () => {
    using outer = scratch();
    const { path } = await unpack(outer.path, tar([file('a', '1'), hardlink('b', 'a'), file('a', '2')]));
    expect([readFileSync(join(path, 'a'), 'utf8'), readFileSync(join(path, 'b'), 'utf8')]).toEqual([
      '2',
      '1',
    ]);
  });

  it('may have leftovers of AUFS, which are dropped', async () => {
    using outer = scratch();
    const { path } = await unpack(
      outer.path,
      tar([file('.wh..wh.aufs'), directory('.wh..wh.plnk'), file('a')]),
    );
    expect(census(path)).toEqual(['a']);
  });

  it('may say things in a global header, which change nothing', async () => {
    using outer = scratch();
    const global = file('a', 'x', {
      pax: [
        ['path', 'elsewhere'],
        ['comment', 'c'],
      ],
      paxType: 'g',
    });
    const { path } = await unpack(outer.path, tar([global]));
    expect(census(path)).toEqual(['a']);
  });
});

describe('of a layer', () => {
  const capability = '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0';

  it.each([
    ['security.capability', capability, true],
    ['user.note', 'kept = yes', true],
    ['security.capability', `${capability.replace('\x02', '\x03')}\xe8\x03\0\0`, false],
    ['security.selinux', 'x', false],
    ['security.ima', 'x', false],
    ['trusted.overlay.opaque', 'y', false],
    ['trusted.overlay.redirect', '/etc', false],
    ['user.overlay.opaque', 'y', false],
    ['system.posix_acl_access', 'x', false],
  ])('the attribute %s=%j stays: %s', async (name, value, stays) => {
    using outer = scratch();
    const { path } = await unpack(
      outer.path,
      tar([file('f', 'x', { pax: [[`SCHILY.xattr.${name}`, value]] })]),
    );
    expect(xattr(join(path, 'f'), name)).toBe(stays ? value : undefined);
  });

  it('devices are dropped, and hard links to them', async () => {
    using outer = scratch();
    const { path } = await unpack(
      outer.path,
      tar([
        { path: 'dev/sda', type: '4', device: [8, 0] },
        { path: 'dev/mem', type: '3', device: [1, 1] },
        { path: 'dev/whiteout', type: '3', device: [0, 0] },
        hardlink('dev/mem2', 'dev/mem'),
        file('kept', 'x'),
      ]),
    );
    expect(census(path)).toEqual(['dev', 'kept']);
  });
});

describe('a hostile layer is refused whole, and writes nothing outside', () => {
  it.each<[string, readonly Entry[], string]>([
    ['a name with ..', [file('../evil', 'x')], 'leads out'],
    ['a name with .. inside', [directory('a'), file('a/../../evil', 'x')], 'leads out'],
    ['an absolute name with ..', [file('/../evil', 'x')], 'leads out'],
    ['.. in a pax path', [file('a', 'x', { pax: [['path', '../evil']] })], 'leads out'],
    ['a directory ..', [directory('..')], 'leads out'],
    ['a file below a symlink', [symlink('a', '..'), file('a/evil', 'x')], "'a' is none"],
    ['a file below an absolute symlink', [symlink('a', '/tmp'), file('a/evil', 'x')], "'a' is none"],
    ['a directory below a symlink', [symlink('a', '..'), directory('a/evil')], "'a' is none"],
    ['a directory over a symlink', [symlink('a', '..'), directory('a'), file('a/evil', 'x')], 'listed twice'],
    ['a symlink over a directory', [directory('a'), symlink('a', '..'), file('a/evil', 'x')], 'listed twice'],
    ['a file over a directory', [directory('a'), file('a', 'x')], 'listed twice'],
    ['a symlink for the root', [symlink('.', '..')], 'listed twice'],
    ['a file for the root', [file('./.', 'x')], 'listed twice'],
    ['a whiteout below a symlink', [symlink('a', '..'), file('a/.wh.victim')], "'a' is none"],
    ['an opaque mark below a symlink', [symlink('a', '..'), file('a/.wh..wh..opq')], "'a' is none"],
    ['a whiteout of ..', [file('.wh...')], 'whiteout of nothing'],
    ['a whiteout of .', [file('a/.wh..')], 'whiteout of nothing'],
    ['a whiteout of nothing', [file('.wh.')], 'whiteout of nothing'],
    ['a hard link out', [hardlink('a', '../victim')], 'leads out'],
    ['a hard link to an absolute path', [hardlink('a', '/etc/passwd')], 'no file this layer has'],
    [
      'a hard link through a symlink',
      [symlink('s', '..'), hardlink('a', 's/victim')],
      'no file this layer has',
    ],
    ['a hard link to a directory', [directory('d'), hardlink('a', 'd')], 'no file this layer has'],
    ['a hard link to what comes later', [hardlink('a', 'b'), file('b', 'x')], 'no file this layer has'],
    ['a hard link to itself', [hardlink('a', 'a')], 'no file this layer has'],
    ['a file below a file', [file('a', 'x'), file('a/b', 'x')], "'a' is none"],
    ['a file below a FIFO', [{ path: 'a', type: '6' }, file('a/b', 'x')], "'a' is none"],
    ['a file below a device', [{ path: 'a', type: '3' }, file('a/b', 'x')], "'a' is none"],
    ['an owner of 65,536', [file('a', 'x', { uid: 65_536 })], 'belongs to id 65536'],
    ['an owner of 2^32 - 2', [file('a', 'x', { gid: 0xffff_fffe })], 'belongs to id 4294967294'],
    ['an owner in pax', [file('a', 'x', { pax: [['uid', '100000']] })], 'belongs to id 100000'],
    ['a negative owner in pax', [file('a', 'x', { pax: [['uid', '-1']] })], 'belongs to id -1'],
    ['an owner of 0.5', [file('a', 'x', { pax: [['uid', '0.5']] })], 'belongs to id 0.5'],
    ['a size of 8 EiB', [file('a', 'x', { size: 2 ** 63 })], 'impossible size'],
    ['a size of 1 TiB', [file('a', 'x', { size: 2 ** 40 })], 'the limit for one layer'],
    ['a size that is no number', [file('a', 'x', { pax: [['size', '1e3']] })], 'impossible size'],
    ['a negative size', [file('a', 'x', { pax: [['size', '-1']] })], 'impossible size'],
    ['a size beyond the archive', [file('a', 'x', { size: 5000 })], 'ends too early'],
    ['a NUL in a pax path', [file('a', 'x', { pax: [['path', 'b\0c']] })], 'NUL'],
    ['a NUL in a pax link', [{ ...symlink('a', 'b'), pax: [['linkpath', 'b\0c']] }], 'NUL'],
    ['a time that is no number', [file('a', 'x', { pax: [['mtime', 'now']] })], 'impossible mtime'],
    ['a symlink to nothing', [symlink('a', '')], 'impossible target'],
    ['a name of 256 bytes', [file('n'.repeat(256), 'x')], 'longer than 255'],
    ['a path of 3,501 bytes', [file('d/'.repeat(1750) + 'f', 'x')], '3500 are allowed'],
    ['an old GNU sparse file', [file('a', 'x', { type: 'S' })], 'sparse'],
    ['a pax sparse file', [file('a', 'x', { pax: [['GNU.sparse.major', '1']] })], 'sparse'],
    ['an unknown type', [file('a', 'x', { type: 'Z' })], 'unknown type'],
    ['a multi-volume part', [file('a', 'x', { type: 'M' })], 'unknown type'],
    [
      'extension headers without end',
      Array.from({ length: 9 }, () => file('a', 'b', { type: 'L' })),
      'in a row',
    ],
    ['a pax header of 2 MiB', [file('a', 'x', { type: 'x', size: 2 ** 21 })], 'too long'],
    ['a malformed pax header', [file('a', '99 path=b\n', { type: 'x' })], 'malformed pax'],
    ['a pax header with a length of 0', [file('a', '0 path=b\n', { type: 'x' })], 'malformed pax'],
    ['a pax header without a key', [file('a', '5 =b\n', { type: 'x' })], 'malformed pax'],
  ])('%s', async (_what, entries, message) => {
    using outer = scratch();
    writeFileSync(join(outer.path, 'victim'), 'unharmed');
    const refused = await unpack(outer.path, tar(entries)).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ImageError);
    expect(refused).toHaveProperty('message', expect.stringContaining(message));
    expect(census(outer.path).filter((name) => !name.startsWith('layer'))).toEqual(['victim']);
    expect(readFileSync(join(outer.path, 'victim'), 'utf8')).toBe('unharmed');
    expect(lstatSync(join(outer.path, 'victim')).nlink).toBe(1);
  });

  it.each([
    ['bytes', { bytes: 9 }, 'more than 9 bytes'],
    ['entries', { entries: 2 }, 'more than 2 entries'],
  ])('too many %s', async (_what, limit, message) => {
    using outer = scratch();
    const archive = tar([file('a', '12345'), file('b', '12345'), file('c')]);
    const refused = unpack(outer.path, archive, { limits: { ...layerLimits, ...limit } });
    await expect(refused).rejects.toThrow(message);
  });

  it('of two pax records for one key the last counts, for the check as for the extractor', async () => {
    using outer = scratch();
    const twice = file('a', 'x', {
      pax: [
        ['path', '../evil'],
        ['path', 'good'],
      ],
    });
    const { path } = await unpack(outer.path, tar([twice]));
    expect(census(path)).toEqual(['good']);
  });

  it('data of a hard link or directory is no hiding place for further entries', async () => {
    using outer = scratch();
    // A reader that skips the stated size sees only the first two entries.
    const hidden = tar([file('../evil', 'x')]).subarray(0, 1024);
    const link = { ...hardlink('b', 'a'), size: 1024 };
    const archive = Buffer.concat([
      tar([file('a', 'x'), link]).subarray(0, -1024),
      hidden,
      Buffer.alloc(1024),
    ]);
    await expect(unpack(outer.path, archive)).rejects.toThrow('leads out');
  });
});
