import { lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { imageStore } from '../../../runtime/images/store.ts';
import { contents, layer, newStore } from './fixture.ts';
import { writeLayout } from './image-builder.ts';
import { directory, file, tar } from './tar-builder.ts';
import { census, scratch, storeOptions } from './unpacking.ts';

/** A layout with one image of two layers, and what is made of it by other programs. */
async function archives(dir: string) {
  const layout = join(dir, 'layout');
  const { digest } = writeLayout(layout, { layers: [layer('one'), layer('two')], config: { Cmd: ['run'] } });
  const docker = join(dir, 'docker:archive.tar');
  await run({
    file: 'sh',
    args: [
      '-c',
      'cd "$1" && skopeo copy -q oci:layout docker-archive:a.tar:some/image:1 && mv a.tar "$2"',
      'sh',
      dir,
      docker,
    ],
  });
  const oci = join(dir, 'oci.tar');
  await run({ file: 'tar', args: ['-C', layout, '-cf', oci, '.'] });
  return { layout, docker, oci, digest };
}

describe('importing', () => {
  it.each([
    ['an OCI layout', 'layout', undefined],
    ['an OCI layout in a tar', 'oci', undefined],
    ['an OCI layout in a tar.gz', 'oci', gzipSync],
    ['a docker-archive', 'docker', undefined],
    ['a docker-archive in gzip', 'docker', gzipSync],
    ['a docker-archive in zstd', 'docker', zstdCompressSync],
  ] as const)('%s brings its layers, its config and a digest', async (_what, kind, compress) => {
    using dir = scratch();
    const made = await archives(dir.path);
    const path = compress ? join(dir.path, 'compressed') : made[kind];
    if (compress) writeFileSync(path, compress(readFileSync(made[kind])));
    const { store } = newStore(dir.path);
    const image = await store.importImage('base', path);
    expect(image.root.layers.map((each) => census(each)[1])).toEqual(['etc/one', 'etc/two']);
    expect(image.config.cmd).toEqual(['run']);
    if (kind === 'docker') expect(image.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    else expect(image.digest).toBe(made.digest);
    expect(await store.resolve('base', { pull: 'never' })).toEqual({ ...image, ref: 'base' });
  });

  it.each([
    ['a tar', (bytes: Buffer) => bytes],
    ['a tar.gz', gzipSync],
    ['a tar.zst', zstdCompressSync],
  ])(
    'a root file system in %s makes one layer; the same content is the same image',
    async (_what, compress) => {
      using dir = scratch();
      const path = join(dir.path, 'rootfs');
      const { store } = newStore(dir.path);
      const rootfs = tar([directory('./'), directory('./etc'), file('./etc/hostname', 'x')]);
      writeFileSync(path, compress(rootfs));
      const image = await store.importImage('rootfs', path);
      expect(image.root.layers.map((each) => census(each))).toEqual([['etc', 'etc/hostname']]);
      expect(image.config).toEqual({ env: [], workingDir: '/', user: '', entrypoint: [], cmd: [] });
      writeFileSync(path, rootfs);
      expect((await store.importImage('again', path)).digest).toBe(image.digest);
    },
  );

  it('a root file system in a directory', async () => {
    using dir = scratch();
    const layout = join(dir.path, 'layout');
    writeLayout(layout, { layers: [] });
    const { store } = newStore(dir.path);
    const image = await store.importImage('rootfs', join(layout, 'blobs'));
    expect(census(image.root.layers[0] ?? '')).toContain('sha256');
  });

  it('gives the same modes under any umask', async () => {
    using dir = scratch();
    const before = process.umask(0o077);
    try {
      writeFileSync(join(dir.path, 'rootfs.tar'), tar([file('a/b', 'x', { mode: 0o644 })]));
      const { store } = newStore(dir.path);
      const [root = ''] = (await store.importImage('rootfs', join(dir.path, 'rootfs.tar'))).root.layers;
      const modes = ['.', 'a', 'a/b'].map((path) => lstatSync(join(root, path)).mode & 0o777);
      expect(modes).toEqual([0o755, 0o755, 0o644]);
    } finally {
      process.umask(before);
    }
  });

  it('gives the name a new meaning', async () => {
    using dir = scratch();
    const { store } = newStore(dir.path);
    const path = join(dir.path, 'rootfs.tar');
    const digests: string[] = [];
    for (const name of ['first', 'second']) {
      writeFileSync(path, layer(name));
      digests.push((await store.importImage('debian:12', path)).digest);
    }
    expect((await store.resolve('debian:12')).digest).toBe(digests[1]);
    expect(store.list().map(({ ref, digest }) => [ref, digest])).toEqual(
      expect.arrayContaining([
        ['debian:12', digests[1]],
        [undefined, digests[0]],
      ]),
    );
  });
});

describe('what cannot be imported gives a clear error and leaves nothing', () => {
  const refused: readonly (readonly [string, (dir: string) => string | Promise<string>, RegExp | string])[] =
    [
      ['no such file', (dir) => join(dir, 'nosuch'), 'no such file or directory'],
      ['a device', () => '/dev/null', 'neither a file nor a directory'],
      ['an empty file', (dir) => written(dir, Buffer.alloc(0)), 'the archive is empty'],
      ['an empty archive', (dir) => written(dir, tar([])), 'the archive is empty'],
      ['something else', (dir) => written(dir, Buffer.from('#!/bin/sh\n'.repeat(100))), 'no tar archive'],
      [
        'an xz archive',
        (dir) => written(dir, Buffer.from('fd377a585a000004e6d6b446', 'hex')),
        'use gzip, zstd',
      ],
      [
        'a truncated tar',
        (dir) => written(dir, tar([file('a', 'x'.repeat(5000))]).subarray(0, 2000)),
        'ends too early',
      ],
      [
        'a truncated tar.gz',
        (dir) => written(dir, gzipSync(layer('a')).subarray(0, -9)),
        'unexpected end of file',
      ],
      ['a hostile tar', (dir) => written(dir, tar([file('ok', 'x'), file('../evil', 'x')])), 'leads out'],
      [
        'a manifest without layers',
        (dir) => written(dir, tar([file('manifest.json', '[{"Config":"c","Layers":["a.tar"]}]')])),
        /manifest|does not exist|not found|no such/,
      ],
      [
        'an OCI tar that leaves its directory',
        (dir) => written(dir, tar([file('oci-layout', '{}'), file('blobs/../../../evil', 'x')])),
        /./,
      ],
      [
        'an index that is none',
        (dir) =>
          written(dir, tar([file('oci-layout', '{"imageLayoutVersion":"1.0.0"}'), file('index.json', '[]')])),
        /./,
      ],
      [
        'a layer with a wrong DiffID',
        (dir) => laidOut(dir, { diffIds: () => [`sha256:${'0'.repeat(64)}`] }),
        'uncompressed content has the digest',
      ],
      ['a hostile layer', (dir) => laidOut(dir, { layers: [tar([file('../evil')])] }), 'leads out'],
      ['a garbled blob', garbled, /digest/i],
    ];

  it.each(refused)('%s', async (_what, prepare, message) => {
    using dir = scratch();
    const { store, data } = newStore(dir.path);
    const path = await prepare(dir.path);
    const before = contents(data);
    await expect(store.importImage('name', path)).rejects.toThrow(message);
    expect(contents(data)).toEqual(before);
    expect(census(dir.path).filter((found) => found.endsWith('evil'))).toEqual([]);
  });

  function written(dir: string, bytes: Buffer): string {
    writeFileSync(join(dir, 'file'), bytes);
    return join(dir, 'file');
  }

  function laidOut(dir: string, recipe: Partial<Parameters<typeof writeLayout>[1]>): string {
    writeLayout(join(dir, 'layout'), { layers: [layer('a')], ...recipe });
    return join(dir, 'layout');
  }

  function garbled(dir: string): string {
    const layout = join(dir, 'layout');
    const { blob } = writeLayout(layout, { layers: [layer('a')] });
    for (const name of census(join(layout, 'blobs', 'sha256'))) {
      const path = blob(`sha256:${name}`);
      const bytes = readFileSync(path);
      if (bytes[0] !== 0x1f) continue;
      bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    }
    return layout;
  }

  it('a name that is none', async () => {
    using dir = scratch();
    await expect(newStore(dir.path).store.importImage('bootstrap:x', dir.path)).rejects.toThrow(
      'cannot name an image',
    );
  });
});

it('an imported image whose files are gone has to be imported again', async () => {
  using dir = scratch();
  const { store, data } = newStore(dir.path);
  writeFileSync(join(dir.path, 'rootfs.tar'), layer('a'));
  const image = await store.importImage('base', join(dir.path, 'rootfs.tar'));
  await run({ file: 'rm', args: ['-r', ...image.root.layers] });
  await expect(imageStore(data, storeOptions).resolve('base')).rejects.toThrow(
    'image base: its files are damaged; import it again',
  );
  expect((await store.importImage('base', join(dir.path, 'rootfs.tar'))).digest).toBe(image.digest);
});
