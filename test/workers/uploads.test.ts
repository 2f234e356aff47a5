import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { holderFile } from '../../runtime/host/holder.ts';
import { containBy } from '../../runtime/images/contain.ts';
import { layerCache } from '../../workers/layer-cache.ts';
import { SourceError } from '../../workers/source.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { openUpload, uploadCache } from '../../workers/uploads.ts';
import { directory, type Entry, file, hardlink, symlink, tar } from '../runtime/images/tar-builder.ts';
import { temporaryDirectory } from './directory.ts';

const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

function cacheIn(dataDir: string) {
  return uploadCache(layerCache({ dataDir, capBytes: 1024 ** 3 }), containBy(holderFile));
}

function upload(entries: readonly Entry[], pack: (bytes: Buffer) => Buffer = (bytes) => bytes) {
  const bytes = pack(tar(entries));
  return { digest: digestOf(bytes), open: () => Promise.resolve(Readable.from([bytes])) };
}

test('an upload that is not kept any more says so, and what to do', async () => {
  using place = temporaryDirectory();
  const gone = openUpload(openStorage(`file:${place.path}`), 'a'.repeat(64));
  await expect(gone).rejects.toThrow(SourceError);
  await expect(gone).rejects.toThrow(
    /not kept any more: .*COFFERDAM_KEEP_UPLOADS.*; submit the directory again/,
  );
});

test('a tree is unpacked as root’s, without set-id bits, and a name is only a name', async () => {
  using place = temporaryDirectory();
  const { digest, open } = upload(
    [
      directory('src'),
      file('src/a.c', 'int a;', { uid: 1000, gid: 1000, mode: 0o4755 }),
      file('.wh.src', 'not a whiteout'),
      symlink('out', '../../etc/passwd'),
      file('b', 'shared'),
      hardlink('c', 'b'),
    ],
    gzipSync,
  );
  const { directory: tree } = await cacheIn(place.path).use(digest, open);
  expect(readdirSync(tree).sort((a, b) => (a < b ? -1 : 1))).toEqual(['.wh.src', 'b', 'c', 'out', 'src']);
  const { uid, gid, mode } = statSync(join(tree, 'src/a.c'));
  expect({ uid, gid, mode: mode & 0o7777 }).toEqual({ uid: 0, gid: 0, mode: 0o755 });
  expect(readFileSync(join(tree, 'c'), 'utf8')).toBe('shared');
});

test('many builds of one upload unpack it once', async () => {
  using place = temporaryDirectory();
  let opened = 0;
  const { digest, open } = upload([file('a', 'x')]);
  const cache = cacheIn(place.path);
  const count = () => (opened++, open());
  await Promise.all(Array.from({ length: 5 }, () => cache.use(digest, count)));
  await cacheIn(place.path).use(digest, count);
  expect(opened).toBe(1);
});

test.each<[string, readonly Entry[]]>([
  ['leads out', [file('../../escape', 'x')]],
  ['goes through a symlink', [symlink('way', '/tmp'), file('way/escape', 'x')]],
  ['links to what is not in it', [hardlink('shadow', '/etc/shadow')]],
])('an archive that %s is refused and leaves nothing', async (_, entries) => {
  using place = temporaryDirectory();
  const { digest, open } = upload(entries);
  await expect(cacheIn(place.path).use(digest, open)).rejects.toThrow(SourceError);
  expect(readdirSync(join(place.path, 'sources'))).toEqual([]);
});

test('an archive that is not what its digest says is refused', async () => {
  using place = temporaryDirectory();
  const { open } = upload([file('a', 'x')]);
  await expect(cacheIn(place.path).use('0'.repeat(64), open)).rejects.toThrow(/digest/);
});
