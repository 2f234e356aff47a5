import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { tryLock } from '../../../runtime/images/lock.ts';
import type { CacheKey } from '../../../workers/caches/key.ts';
import { digest } from '../../../workers/caches/place.ts';
import type { Restored } from '../../../workers/caches/tiers.ts';
import { temporaryDirectory } from '../directory.ts';
import { cupboard, filling, listener, storageIn } from './cupboard.ts';

const npm = { project: 'shop', name: 'npm' };
const keyOf = (text: string): CacheKey => ({ kind: 'files', digest: digest(text) });
const read = (restored: Restored | undefined, file = 'file') =>
  restored && readFileSync(join(restored.snapshot.layer.tree, file), 'utf8');
const silent = () => {};

describe('a snapshot', () => {
  test('is found by its key, else the newest of its cache, and by nobody else', async () => {
    using place = temporaryDirectory();
    const { tiers } = cupboard(place.path);
    for (const text of ['one', 'two']) await tiers.save(npm, digest(text), filling({ file: text }));
    const restore = async (cache: typeof npm, key: CacheKey) => {
      const found = await tiers.restore(cache, key, silent);
      return [found?.match, read(found)];
    };
    expect(await restore(npm, keyOf('one'))).toEqual(['exact', 'one']);
    expect(await restore(npm, keyOf('other'))).toEqual(['newest', 'two']);
    expect(await restore(npm, { kind: 'none' })).toEqual(['newest', 'two']);
    expect(await restore({ ...npm, name: 'pip' }, keyOf('one'))).toEqual([undefined, undefined]);
    expect(await restore({ ...npm, project: 'bank' }, keyOf('one'))).toEqual([undefined, undefined]);
  });

  test('of two of one key, the first that is whole stays', async () => {
    using place = temporaryDirectory();
    const [one, two] = [cupboard(place.path), cupboard(place.path)];
    const slow = Promise.withResolvers<void>();
    const late = one.tiers.save(npm, digest('k'), async (tree) => {
      await slow.promise;
      return filling({ file: 'late' })(tree);
    });
    await two.tiers.save(npm, digest('k'), filling({ file: 'first' }));
    expect(one.tiers.has(npm, digest('k'))).toBe(true);
    slow.resolve();
    await late;
    expect(read(await one.tiers.restore(npm, keyOf('k'), silent))).toBe('first');
    expect(readdirSync(join(place.path, 'caches'))).toHaveLength(1);
  });

  test('that cannot be made whole is none', async () => {
    using place = temporaryDirectory();
    const { tiers } = cupboard(place.path);
    const broken = tiers.save(npm, digest('k'), async (tree) => {
      await filling({ file: 'half' })(tree);
      throw new Error('the disk is full');
    });
    await expect(broken).rejects.toThrow('the disk is full');
    expect(readdirSync(join(place.path, 'caches'))).toEqual([]);
  });

  test('that was not used for the longest time goes first, never one that a build has', async () => {
    using place = temporaryDirectory();
    const { tiers, layers } = cupboard(place.path, undefined, 4000);
    const saved = [];
    for (const text of ['one', 'two', 'three']) {
      const { layer } = await tiers.save(npm, digest(text), filling({ file: 'x'.repeat(1000) }));
      saved.push(layer);
      await tiers.settled();
    }
    const held = await tryLock(saved[0]?.lock ?? '', 'shared');
    saved.forEach(({ lock }, i) => utimesSync(lock, 1000 + i, 1000 + i));
    await layers.trim();
    expect(saved.map(({ directory }) => existsSync(directory))).toEqual([true, false, false]);
    await held?.release();
  });
});

describe('a snapshot that was damaged on the disk', () => {
  const tree = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`d${i % 7}/f${i}`, `content ${i}`]));
  test.each<[string, (directory: string) => void]>([
    ['a file is gone', (d) => rmSync(join(d, 'tree/d3/f3'))],
    ['a directory is gone', (d) => rmSync(join(d, 'tree/d3'), { recursive: true })],
    ['bytes of a file were flipped', (d) => writeFileSync(join(d, 'tree/d3/f3'), 'CONTENT 3')],
    ['a file was cut', (d) => truncateSync(join(d, 'tree/d3/f3'), 2)],
    ['there is a file more', (d) => writeFileSync(join(d, 'tree/d3/more'), '')],
    ['its tree is gone', (d) => rmSync(join(d, 'tree'), { recursive: true })],
    ['what it says of itself is cut', (d) => truncateSync(join(d, 'snapshot.json'), 20)],
    ['what it says of itself is gone', (d) => rmSync(join(d, 'snapshot.json'))],
    ['its manifest is cut', (d) => truncateSync(join(d, 'sample.json'), 100)],
  ])('because %s is dropped, said, and as good as none', async (_, damage) => {
    using place = temporaryDirectory();
    const { tiers, layers } = cupboard(place.path);
    const { layer } = await tiers.save(npm, digest('k'), filling(tree));
    await tiers.settled();
    expect(await tiers.restore(npm, keyOf('k'), silent)).toBeDefined();
    damage(layer.directory);
    const { lines, say } = listener();
    expect(await tiers.restore(npm, keyOf('k'), say)).toBeUndefined();
    expect(lines).toEqual(['the snapshot here is damaged and was dropped']);
    await layers.trim();
    expect(readdirSync(join(place.path, 'caches'))).toEqual([]);
    await tiers.save(npm, digest('k'), filling({ file: 'good' }));
    expect(read(await tiers.restore(npm, keyOf('k'), silent))).toBe('good');
  });

  test('stays for builds that have it, and an older one is used', async () => {
    using place = temporaryDirectory();
    const { tiers, layers } = cupboard(place.path);
    await tiers.save(npm, digest('old'), filling({ file: 'old' }));
    const { layer } = await tiers.save(npm, digest('new'), filling({ file: 'new', other: 'x' }));
    await tiers.settled();
    const held = await tryLock(layer.lock, 'shared');
    rmSync(join(layer.tree, 'other'));
    expect(read(await tiers.restore(npm, { kind: 'none' }, silent))).toBe('old');
    await layers.trim();
    expect(layers.keys()).toHaveLength(2);
    await held?.release();
    await layers.trim();
    expect(layers.keys()).toHaveLength(1);
  });

  test('is compared whole after the machine was started again, and once a day', async () => {
    using place = temporaryDirectory();
    const { tiers } = cupboard(place.path);
    const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`f${i}`, `${i}`]));
    const { layer } = await tiers.save(npm, digest('k'), filling(many));
    const sample: string[] = JSON.parse(readFileSync(join(layer.directory, 'sample.json'), 'utf8'));
    const unseen = Object.keys(many).find((name) => !sample.some((line) => line.endsWith(` ${name}`))) ?? '';
    truncateSync(join(layer.tree, unseen), 0);
    // What a sample does not hold is not seen; this is what the whole comparison is for.
    expect(await tiers.restore(npm, keyOf('k'), silent)).toBeDefined();
    writeFileSync(join(layer.directory, 'compared.json'), '{"boot":"another","at":0}');
    expect(await tiers.restore(npm, keyOf('k'), silent)).toBeUndefined();
  });
});

describe('the storage', () => {
  test('gives another worker what this one saved, as it was', async () => {
    using place = temporaryDirectory();
    const storage = storageIn(join(place.path, 'store'));
    const [one, two] = ['one', 'two'].map((name) => cupboard(join(place.path, name), storage));
    if (!one || !two) throw new Error('no worker');
    const name = 'n'.repeat(255);
    await one.tiers.save(npm, digest('k'), filling({ [`d/${name}`]: 'x', '.wh.file': 'a name' }));
    await one.tiers.settled();
    const { lines, say } = listener();
    const found = await two.tiers.restore(npm, keyOf('k'), say);
    expect([found?.match, read(found, `d/${name}`), read(found, '.wh.file'), lines]).toEqual([
      'exact',
      'x',
      'a name',
      [],
    ]);
    expect([...one.troubles, ...two.troubles]).toEqual([]);
    rmSync(join(place.path, 'store'), { recursive: true });
    expect((await two.tiers.restore(npm, keyOf('k'), silent))?.match).toBe('exact');
  });

  test('is asked once for what many builds want', async () => {
    using place = temporaryDirectory();
    const storage = storageIn(join(place.path, 'store'));
    const one = cupboard(join(place.path, 'one'), storage);
    await one.tiers.save(npm, digest('k'), filling({ file: 'x' }));
    await one.tiers.settled();
    let archives = 0;
    const counting = {
      ...storage,
      get: (...request: Parameters<typeof storage.get>) => {
        if (request[0].endsWith('.zst')) archives++;
        return storage.get(...request);
      },
    };
    const two = cupboard(join(place.path, 'two'), counting);
    const all = await Promise.all(
      Array.from({ length: 5 }, () => two.tiers.restore(npm, keyOf('k'), silent)),
    );
    expect([all.map((found) => read(found)), archives]).toEqual([['x', 'x', 'x', 'x', 'x'], 1]);
  });

  test('has the newest of all workers, of which this one may have its own', async () => {
    using place = temporaryDirectory();
    const storage = storageIn(join(place.path, 'store'));
    const [one, two] = ['one', 'two'].map((name) => cupboard(join(place.path, name), storage));
    if (!one || !two) throw new Error('no worker');
    await two.tiers.save(npm, digest('a'), filling({ file: 'two, old' }));
    await two.tiers.settled();
    await one.tiers.save(npm, digest('b'), filling({ file: 'one' }));
    await one.tiers.settled();
    expect(read(await two.tiers.restore(npm, keyOf('c'), silent))).toBe('one');
    await two.tiers.save(npm, digest('d'), filling({ file: 'two, new' }));
    expect(read(await two.tiers.restore(npm, keyOf('c'), silent))).toBe('two, new');
  });

  test('keeps ten of a cache', async () => {
    using place = temporaryDirectory();
    const storage = storageIn(join(place.path, 'store'));
    const { tiers } = cupboard(join(place.path, 'one'), storage);
    for (let i = 0; i < 12; i++) await tiers.save(npm, digest(`${i}`), filling({ file: `${i}` }));
    await tiers.settled();
    const keys = await Array.fromAsync(storage.list('caches/'));
    expect(keys.filter((key) => key.endsWith('.zst'))).toHaveLength(10);
    expect(keys).toHaveLength(21);
    expect(keys.some((key) => key.includes(digest('0')))).toBe(false);
  });

  test.each<[string, (archive: string) => void]>([
    ['is cut', (archive) => truncateSync(archive, 40)],
    ['is empty', (archive) => truncateSync(archive, 0)],
    ['is gone', (archive) => rmSync(archive)],
    [
      'has a flipped bit',
      (archive) => {
        const bytes = readFileSync(archive);
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 8) ^ 1, bytes.length - 8);
        writeFileSync(archive, bytes);
      },
    ],
    ['is another one', (archive) => writeFileSync(archive, 'no tar at all, and no zstd')],
  ])('whose archive %s gives nothing, drops it, and takes the next', async (_, damage) => {
    using place = temporaryDirectory();
    const storage = storageIn(join(place.path, 'store'));
    const one = cupboard(join(place.path, 'one'), storage);
    await one.tiers.save(npm, digest('k'), filling({ file: 'x'.repeat(5000) }));
    await one.tiers.settled();
    const archive =
      (await Array.fromAsync(storage.list('caches/'))).find((key) => key.endsWith('.zst')) ?? '';
    damage(join(place.path, 'store', archive));
    const two = cupboard(join(place.path, 'two'), storage);
    const { lines, say } = listener();
    expect(await two.tiers.restore(npm, keyOf('k'), say)).toBeUndefined();
    expect(lines[0]).toMatch(/^cannot be fetched: /);
    expect(await Array.fromAsync(storage.list('caches/'))).toEqual([]);
    expect(two.layers.keys()).toEqual([]);
    await two.tiers.save(npm, digest('k'), filling({ file: 'y' }));
    await two.tiers.settled();
    expect(
      read(await cupboard(join(place.path, 'three'), storage).tiers.restore(npm, keyOf('k'), silent)),
    ).toBe('y');
  });

  test('that does not answer is as good as empty, and what is saved stays here', async () => {
    using place = temporaryDirectory();
    const refuse = () => Promise.reject(new Error('connection refused'));
    const storage = { ...storageIn(place.path), get: refuse, head: refuse, put: refuse };
    const { tiers, troubles } = cupboard(join(place.path, 'one'), storage);
    const { lines, say } = listener();
    expect(await tiers.restore(npm, keyOf('k'), say)).toBeUndefined();
    expect(lines[0]).toBe('cannot be looked for: connection refused');
    await tiers.save(npm, digest('k'), filling({ file: 'x' }));
    await tiers.settled();
    expect(troubles).toHaveLength(1);
    expect(read(await tiers.restore(npm, keyOf('k'), silent))).toBe('x');
  });

  test.each(['../../etc', '/', '..', '.', '', 'a/b', 'ä\ud800', '%2e%2e', 'x'.repeat(500), 'newest'])(
    'takes a cache by the name of %j',
    async (name) => {
      using place = temporaryDirectory();
      const storage = storageIn(join(place.path, 'store'));
      const cache = { project: name, name };
      const one = cupboard(join(place.path, 'one'), storage);
      await one.tiers.save(cache, digest('k'), filling({ file: name }));
      await one.tiers.settled();
      expect(one.troubles).toEqual([]);
      const two = cupboard(join(place.path, 'two'), storage);
      expect(await two.tiers.restore(cache, keyOf('k'), silent)).toBeDefined();
      expect(readdirSync(join(place.path, 'store')).sort()).toEqual(['.tmp', 'caches']);
      expect(statSync(join(place.path, 'store/caches')).isDirectory()).toBe(true);
    },
  );
});
