import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contents, layer, newStore, publish, startFixture } from './fixture.ts';
import { digestOf, writeLayout } from './image-builder.ts';
import { startRegistry } from './registry.ts';
import { file, tar } from './tar-builder.ts';
import { census, scratch } from './unpacking.ts';

let fixture: Awaited<ReturnType<typeof startFixture>>;
beforeAll(async () => {
  fixture = await startFixture();
});
afterAll(async () => {
  await fixture.stop();
});

const here = { insecureRegistry: true } as const;

describe('an image that cannot be had gives a clear error and leaves nothing', () => {
  it.each<[string, () => Promise<string>, RegExp | string]>([
    ['an unknown name', async () => `${fixture.registry.host}/nosuch:1`, /no such image.*manifest unknown/],
    [
      'an unknown tag',
      async () => `${(await publish(fixture.registry, { layers: [layer('a')] })).ref}x`,
      /no such image/,
    ],
    [
      'an unknown digest',
      async () => `${fixture.registry.host}/nosuch@sha256:${'0'.repeat(64)}`,
      /no such image/,
    ],
    [
      'a registry that is not there',
      async () => '127.0.0.1:1/x',
      /cannot be reached: check the name and the network/,
    ],
    [
      'a config with fewer layers',
      async () =>
        (
          await publish(fixture.registry, {
            layers: [layer('a'), layer('b')],
            diffIds: (ids) => ids.slice(1),
          })
        ).ref,
      'its manifest has 2 layers, its config 1',
    ],
    [
      'a wrong DiffID',
      async () =>
        (
          await publish(fixture.registry, {
            layers: [layer('a')],
            diffIds: () => [`sha256:${'0'.repeat(64)}`],
          })
        ).ref,
      /layer sha256:\w+: its uncompressed content has the digest/,
    ],
    [
      'another processor',
      async () => (await publish(fixture.registry, { layers: [layer('a')], architecture: 's390x' })).ref,
      'it is made for linux/s390x',
    ],
    [
      'a hostile layer',
      async () => (await publish(fixture.registry, { layers: [tar([file('../evil', 'x')])] })).ref,
      'leads out of the image',
    ],
    [
      'a layer that is no tar',
      async () => (await publish(fixture.registry, { layers: [Buffer.from('x'.repeat(2000))] })).ref,
      'no tar archive',
    ],
    [
      'a working directory in /proc',
      async () =>
        (await publish(fixture.registry, { layers: [layer('a')], config: { WorkingDir: '/proc/self/fd/8' } }))
          .ref,
      "working directory '/proc/self/fd/8' is not allowed",
    ],
    [
      'a working directory with ..',
      async () =>
        (await publish(fixture.registry, { layers: [layer('a')], config: { WorkingDir: '/a/../../b' } })).ref,
      'is not allowed',
    ],
    [
      'a NUL in the config',
      async () =>
        (await publish(fixture.registry, { layers: [layer('a')], config: { Env: ['A=b\0c'] } })).ref,
      'NUL',
    ],
    [
      'a config of a wrong shape',
      async () => (await publish(fixture.registry, { layers: [layer('a')], config: { Env: 'A=b' } })).ref,
      'config is malformed',
    ],
  ])('%s', async (_what, prepare, message) => {
    const ref = await prepare();
    const { store, data } = newStore(fixture.path);
    const before = contents(data);
    await expect(store.resolve(ref, here)).rejects.toThrow(message);
    await expect(store.resolve(ref, here)).rejects.toThrow(`image ${ref}: `);
    expect(contents(data)).toEqual(before);
  });

  it('a blob that the registry has garbled', async () => {
    const { ref } = await publish(fixture.registry, { layers: [layer('garbled')] });
    const { store, data } = newStore(fixture.path);
    const hex = digestOf(gzipSync(layer('garbled'))).slice(7);
    const storage = join(fixture.path, 'registry', 'data');
    const [blob = ''] = census(storage).filter((path) => path.endsWith(`${hex}/data`));
    const bytes = readFileSync(join(storage, blob));
    bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1;
    writeFileSync(join(storage, blob), bytes);
    const before = contents(data);
    await expect(store.resolve(ref, here)).rejects.toThrow('does not have the digest it should have');
    expect(contents(data)).toEqual(before);
  });

  it('a registry that sends another manifest for a digest', async () => {
    const { name } = await publish(fixture.registry, { layers: [layer('a')] });
    const digest = `sha256:${'1'.repeat(64)}`;
    const body = await (await fetch(`http://${fixture.registry.host}/v2/${name}/manifests/1`)).text();
    const liar = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' });
      response.end(body);
    }).listen(0, '127.0.0.1');
    await once(liar, 'listening');
    const address = liar.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const { store, data } = newStore(fixture.path);
    const before = contents(data);
    await expect(store.resolve(`127.0.0.1:${port}/${name}@${digest}`, here)).rejects.toThrow(/digest/);
    expect(contents(data)).toEqual(before);
    liar.close();
  });

  it.each<[string, (manifest: { layers: object[] }) => object, RegExp]>([
    [
      'layers from elsewhere',
      (m) => ({ ...m, layers: m.layers.map((l) => ({ ...l, urls: ['http://169.254.169.254/'] })) }),
      /unsupported kind .* with URLs/,
    ],
    [
      'layers of an unknown kind',
      (m) => ({ ...m, layers: m.layers.map((l) => ({ ...l, mediaType: 'application/x-qcow2' })) }),
      /unsupported kind/,
    ],
    [
      '600 layers',
      (m) => ({ ...m, layers: Array.from({ length: 600 }, () => m.layers[0]) }),
      /600 layers; overlayfs takes at most 500/,
    ],
    ['no layers', (m) => ({ ...m, layers: undefined }), /manifest is malformed/],
  ])('a manifest with %s', async (_what, manifest, message) => {
    using layout = scratch();
    const { digest, blob } = writeLayout(layout.path, { layers: [layer('a')], manifest });
    const body = readFileSync(blob(digest));
    const type = 'application/vnd.oci.image.manifest.v1+json';
    // The registry would not take it: so one that answers anything.
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': type });
      response.end(body);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const { store } = newStore(fixture.path);
    const ref = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}/x`;
    await expect(store.resolve(ref, here)).rejects.toThrow(message);
    server.close();
  });

  it('an image that is not in the store, when nothing may be pulled', async () => {
    const { store } = newStore(fixture.path);
    await expect(store.resolve('debian:12', { pull: 'never' })).rejects.toThrow(
      'image debian:12 is not in the store; bring it in with `cofferdam image pull debian:12`',
    );
  });
});

describe('a registry', () => {
  it('is spoken to without TLS only when asked, and only on this machine', async () => {
    const { ref } = await publish(fixture.registry, { layers: [layer('a')] });
    const { store } = newStore(fixture.path);
    await expect(store.resolve(ref)).rejects.toThrow(
      'the registry speaks plain HTTP: give --insecure-registry',
    );
    await expect(store.resolve('example.org/x', here)).rejects.toThrow('example.org is not on this machine');
  });

  it('that wants credentials gets them from the auth file', async () => {
    // user:letmein
    const htpasswd = 'user:$2b$04$KzhE698ZfStqOiDz768JKuCuHyNb7ow/Es8FQD57qDMYuxJGk5I6a\n';
    const closed = await startRegistry(join(fixture.path, 'closed'), htpasswd);
    try {
      const { ref, digest } = await publish(closed, { layers: [layer('secret')] });
      const authFile = (password: string) => {
        const path = join(fixture.path, `auth-${password}.json`);
        const auth = Buffer.from(`user:${password}`).toString('base64');
        writeFileSync(path, JSON.stringify({ auths: { [closed.host]: { auth } } }));
        return path;
      };
      const { store, data } = newStore(fixture.path);
      const before = contents(data);
      await expect(store.resolve(ref, { ...here, authFile: authFile('wrong') })).rejects.toThrow(
        /denies access.*skopeo login/,
      );
      await expect(store.resolve(ref, here)).rejects.toThrow(/denies access/);
      expect(contents(data)).toEqual(before);
      const right = { ...here, authFile: authFile('letmein') };
      expect((await store.resolve(ref, right)).digest).toBe(digest);
      // An image that is there does not let in who asks the registry with bad credentials.
      const wrong = { ...here, authFile: authFile('wrong'), pull: 'always' as const };
      await expect(store.resolve(ref, wrong)).rejects.toThrow(/denies access/);
    } finally {
      await closed.stop();
    }
  });
});
