import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, start } from '../../../runtime/command.ts';
import { makingLock, storeLayout } from '../../../runtime/images/layout.ts';
import { withLock } from '../../../runtime/images/lock.ts';
import { imageStore } from '../../../runtime/images/store.ts';
import { contents, layer, newStore, publish, startFixture } from './fixture.ts';
import { architecture, digestOf } from './image-builder.ts';
import { census, storeOptions } from './unpacking.ts';

let fixture: Awaited<ReturnType<typeof startFixture>>;
beforeAll(async () => {
  fixture = await startFixture();
});
afterAll(async () => {
  await fixture.stop();
});

const here = { insecureRegistry: true } as const;
/** Requests for blobs, after the first `since` requests. */
const blobsSent = (since: number) =>
  fixture.registry
    .requests()
    .slice(since)
    .filter((line) => /^GET \S+\/blobs\//.test(line));

describe('pulling', () => {
  it('brings the layers, the config and the digest of the manifest', async () => {
    const config = {
      Env: ['A=b', 'PATH=/x'],
      WorkingDir: '/w//./d/',
      User: 'u:g',
      Entrypoint: ['/e'],
      Cmd: null,
    };
    const { ref, digest } = await publish(fixture.registry, { layers: [layer('one'), layer('two')], config });
    const { store } = newStore(fixture.path);
    const lines: string[] = [];
    const image = await store.resolve(ref, { ...here, progress: (line) => lines.push(line) });
    expect(image).toMatchObject({ ref, digest });
    expect(image.config).toEqual({
      env: ['A=b', 'PATH=/x'],
      workingDir: '/w/d',
      user: 'u:g',
      entrypoint: ['/e'],
      cmd: [],
    });
    expect(image.root.layers.map((path) => census(path))).toEqual([
      ['etc', 'etc/one'],
      ['etc', 'etc/two'],
    ]);
    expect(existsSync(image.root.lock)).toBe(true);
    expect(lines).toEqual([
      '2 of 2 layers to transfer, 0.0 MB',
      'unpacking layer 1 of 2',
      'unpacking layer 2 of 2',
    ]);
  });

  it.each([
    ['zstd', zstdCompressSync, 'application/vnd.oci.image.layer.v1.tar+zstd'],
    ['uncompressed', (bytes: Buffer) => bytes, 'application/vnd.oci.image.layer.v1.tar'],
  ])('takes %s layers', async (_what, compress, mediaType) => {
    const { ref, digest } = await publish(fixture.registry, { layers: [layer('one')], compress, mediaType });
    expect((await newStore(fixture.path).store.resolve(ref, here)).digest).toBe(digest);
  });

  it('finds an image by its digest, and by tag and digest', async () => {
    const { ref, name, digest } = await publish(fixture.registry, { layers: [layer('one')] });
    const { store } = newStore(fixture.path);
    expect((await store.resolve(`${fixture.registry.host}/${name}@${digest}`, here)).digest).toBe(digest);
    expect((await store.resolve(`${ref}@${digest}`, here)).digest).toBe(digest);
  });

  it('takes this machine’s image out of an index, and keeps the digest of the index', async () => {
    const mine = await publish(fixture.registry, { layers: [layer('mine')] });
    const other = await publish(
      fixture.registry,
      { layers: [layer('other')], architecture: 's390x' },
      mine.name,
    );
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    const entry = ({ digest }: { digest: string }, arch: string, os = 'linux') => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest,
      size: 1,
      platform: { os, architecture: arch },
    });
    const manifests = [entry(other, 's390x'), entry(mine, architecture), entry(other, 'unknown', 'unknown')];
    const put = async (tag: string, list: readonly object[]) => {
      const body = JSON.stringify({ schemaVersion: 2, mediaType, manifests: list });
      const url = `http://${fixture.registry.host}/v2/${mine.name}/manifests/${tag}`;
      const { status } = await fetch(url, { method: 'PUT', body, headers: { 'content-type': mediaType } });
      expect(status).toBe(201);
      return digestOf(Buffer.from(body));
    };
    const index = await put('multi', manifests);
    const { store } = newStore(fixture.path);
    const image = await store.resolve(`${fixture.registry.host}/${mine.name}:multi`, here);
    expect(image.digest).toBe(index);
    expect(census(image.root.layers[0] ?? '')).toContain('etc/mine');
    await put('foreign', [entry(other, 's390x')]);
    await expect(store.resolve(`${fixture.registry.host}/${mine.name}:foreign`, here)).rejects.toThrow(
      `it is not made for linux/${architecture}, only for linux/s390x`,
    );
  });

  it('transfers only the layers that the store has not', async () => {
    const first = await publish(fixture.registry, { layers: [layer('shared'), layer('first')] });
    const second = await publish(fixture.registry, { layers: [layer('shared'), layer('second')] });
    const { store, data } = newStore(fixture.path);
    await store.resolve(first.ref, here);
    const before = fixture.registry.requests().length;
    const image = await store.resolve(second.ref, here);
    expect(image.root.layers.map((path) => census(path)[1])).toEqual(['etc/shared', 'etc/second']);
    // The new layer once; the config twice: by us for its DiffIDs, and by skopeo for its copy.
    expect(new Set(blobsSent(before)).size).toBe(2);
    expect(contents(data).filter((path) => /^layers\/[0-9a-f]{64}$/.test(path))).toHaveLength(3);
  });

  it('asks the registry no more for an image that is there, unless told to', async () => {
    const { ref, name, digest } = await publish(fixture.registry, { layers: [layer('old')] });
    const { store } = newStore(fixture.path);
    await store.resolve(ref, here);
    const moved = await publish(fixture.registry, { layers: [layer('new')] }, name);
    const before = fixture.registry.requests().length;
    expect((await store.resolve(ref)).digest).toBe(digest);
    expect((await store.resolve(ref, { pull: 'never' })).digest).toBe(digest);
    expect(fixture.registry.requests()).toHaveLength(before);
    expect((await store.resolve(ref, { ...here, pull: 'always' })).digest).toBe(moved.digest);
    expect((await store.resolve(ref)).digest).toBe(moved.digest);
  });

  it('costs less than 2 ms for an image that is there', async () => {
    const { ref } = await publish(fixture.registry, {
      layers: Array.from({ length: 50 }, (_, at) => layer(`l${at}`)),
    });
    const { store } = newStore(fixture.path);
    await store.resolve(ref, here);
    const times: number[] = [];
    for (let round = 0; round < 50; round++) {
      const before = performance.now();
      await store.resolve(ref);
      times.push(performance.now() - before);
    }
    expect(times.sort((a, b) => a - b)[25]).toBeLessThan(2);
  });
});

describe('several processes', () => {
  const puller = (data: string, ref: string) => ({
    file: process.execPath,
    args: [join(import.meta.dirname, 'puller.ts'), data, ref],
  });

  it('that want one image transfer it once', async () => {
    const { ref, digest } = await publish(fixture.registry, { layers: [layer('a'), layer('b'), layer('c')] });
    const { data } = newStore(fixture.path);
    const before = fixture.registry.requests().length;
    const outputs = await Promise.all([1, 2, 3].map(() => run(puller(data, ref))));
    expect(outputs.map(({ stdout }) => stdout.toString().trim().split('\n').at(-1))).toEqual([
      digest,
      digest,
      digest,
    ]);
    // Three layers once; the config by us, for its DiffIDs, and by skopeo, for its copy.
    expect(blobsSent(before)).toHaveLength(5);
  });

  it('that wait for another one which pulls the same image say so', async () => {
    const { ref, digest } = await publish(fixture.registry, { layers: [layer('awaited')] });
    const { store, data } = newStore(fixture.path);
    const lock = makingLock(storeLayout(data), digest.slice('sha256:'.length));
    const waits = Promise.withResolvers<string>();
    let pulled: Promise<unknown> | undefined;
    const told = await withLock(
      lock,
      'exclusive',
      () => {},
      async () => {
        pulled = store.resolve(ref, { ...here, progress: waits.resolve });
        return await waits.promise;
      },
    );
    expect(told).toBe('waiting for another build that pulls it');
    expect(await pulled).toMatchObject({ digest });
  });

  it('may be killed at any moment: the next pull works and clears up', async () => {
    const { ref, digest } = await publish(fixture.registry, { layers: [layer('x'), layer('y')] });
    const { data, store } = newStore(fixture.path);
    const moments = ['to transfer', 'layer 1 of 2', 'layer 2 of 2', digest];
    for (const moment of moments) {
      rmSync(join(data, 'images', 'layers'), { recursive: true });
      const { file: program, args } = puller(data, ref);
      imageStore(data, storeOptions);
      const child = start({ file: program, args }, { stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        if (text.includes(moment)) child.kill('SIGKILL');
      });
      await once(child, 'close');
      expect(child.signalCode === 'SIGKILL' || moment === digest).toBe(true);
      await expect.poll(() => processesAbout(data)).toEqual([]);
      expect((await store.resolve(ref, here)).digest).toBe(digest);
      expect(contents(data).filter((path) => path.startsWith('tmp/'))).toEqual([]);
    }
  });
});

describe('a process that is killed', () => {
  it('while the registry does not answer leaves no tool that goes on waiting', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    const ref = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}/x`;
    const { data } = newStore(fixture.path);
    const args = [join(import.meta.dirname, 'puller.ts'), data, ref];
    const child = start({ file: process.execPath, args }, { stdio: 'ignore' });
    const closed = once(child, 'close');
    await once(silent, 'request');
    expect(processesAbout(ref)).toHaveLength(2);
    child.kill('SIGKILL');
    await closed;
    await expect.poll(() => processesAbout(ref)).toEqual([]);
    silent.closeAllConnections();
    silent.close();
  });
});

describe('a damaged store', () => {
  it.each<[string, (images: string, digest: string, layer: string) => void]>([
    ['a layer is missing', (_images, _digest, path) => rmSync(path, { recursive: true })],
    [
      'the record is missing',
      (images, digest) => rmSync(join(images, 'manifests', `${digest.slice(7)}.json`)),
    ],
    [
      'the record is garbled',
      (images, digest) => writeFileSync(join(images, 'manifests', `${digest.slice(7)}.json`), '{"dig'),
    ],
    [
      'the record is of another kind',
      (images, digest) => writeFileSync(join(images, 'manifests', `${digest.slice(7)}.json`), '[]'),
    ],
    [
      'references are garbled',
      (images) => {
        for (const name of census(join(images, 'refs'))) writeFileSync(join(images, 'refs', name), '');
      },
    ],
    [
      'the lock file is missing',
      (images) => {
        rmSync(join(images, 'locks'), { recursive: true });
      },
    ],
  ])('mends itself when %s', async (what, damage) => {
    const { ref, digest } = await publish(fixture.registry, { layers: [layer('kept'), layer('lost')] });
    const { store, data } = newStore(fixture.path);
    const before = await store.resolve(ref, here);
    damage(join(data, 'images'), digest, before.root.layers[1] ?? '');
    const again = imageStore(data, storeOptions);
    const sent = fixture.registry.requests().length;
    const image = await again.resolve(ref, here);
    expect(image).toEqual(before);
    expect(census(image.root.layers[1] ?? '')).toEqual(['etc', 'etc/lost']);
    expect(existsSync(image.root.lock)).toBe(true);
    expect(blobsSent(sent).length).toBeLessThanOrEqual(what === 'a layer is missing' ? 3 : 1);
  });
});

/** Command lines of all processes that name a path. */
function processesAbout(path: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const line = /^[0-9]+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
      return line.includes(path) ? [line] : [];
    } catch {
      return [];
    }
  });
}
