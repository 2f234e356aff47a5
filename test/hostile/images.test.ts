import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { holderFile } from '../../runtime/host/holder.ts';
import { containBy } from '../../runtime/images/contain.ts';
import type { Image } from '../../runtime/images/image.ts';
import { type ImageStore, imageStore } from '../../runtime/images/store.ts';
import { census as look } from '../runtime/images/unpacking.ts';
import { lab, overlays, shell, start, tell } from '../runtime/crun/lab.ts';
import { contents, layer, publish, startFixture } from '../runtime/images/fixture.ts';
import type { Recipe } from '../runtime/images/image-builder.ts';
import { directory, type Entry, file, symlink, tar } from '../runtime/images/tar-builder.ts';
import { storeOptions } from '../runtime/images/unpacking.ts';
import { debian, layersDir } from '../rootfs.ts';

// As on a worker: skopeo, filter, contained extractor, store; then a sandbox on what came of it.
let fixture: Awaited<ReturnType<typeof startFixture>>;
let data: string;
let store: ImageStore;
beforeAll(async () => {
  fixture = await startFixture();
  data = mkdtempSync(join(layersDir, 'hostile-'));
  store = imageStore(data, { ...storeOptions, contain: containBy(holderFile) });
});
afterAll(async () => {
  await fixture.stop();
  rmSync(data, { recursive: true });
});

const here = { insecureRegistry: true } as const;
const pulled = async (recipe: Recipe) => store.resolve((await publish(fixture.registry, recipe)).ref, here);
/** Its layers on those of a Debian. */
const root = (image: Image) => ({ ...debian, layers: [...debian.layers, ...image.root.layers] });

describe('what an image has in place of what a sandbox mounts, writes or reads', () => {
  const places = [
    'dev proc sys etc run tmp workspace root',
    'run/secrets run/.cofferdam etc/passwd etc/group etc/hosts etc/resolv.conf etc/hostname dev/null dev/shm',
    'run/.cofferdam/init',
  ];
  const kinds: readonly (readonly [string, (path: string, canary: string) => Entry])[] = [
    ['a symlink to the host', (path, canary) => symlink(path, canary)],
    ['a symlink out of the root', (path, canary) => symlink(path, `${'../'.repeat(20)}${canary.slice(1)}`)],
    ['a symlink to /proc/1/root', (path, canary) => symlink(path, `/proc/1/root${canary}`)],
    ['a symlink to itself', (path) => symlink(path, path.split('/').at(-1) ?? '')],
    ['a FIFO', (path) => ({ path, type: '6' })],
    ['a file', (path) => file(path, 'hostile', { mode: 0o777 })],
    ['a closed directory', (path) => directory(path, { mode: 0, uid: 5 })],
  ];

  test.each(kinds)('%s is contained', async (_what, make) => {
    await using place = lab({ layersDir });
    const canary = join(place.scratch, 'canary');
    mkdirSync(canary, { mode: 0o777 });
    for (const name of ['null', 'init', 'secret', 'hosts'])
      writeFileSync(join(canary, name), 'unharmed', { mode: 0o666 });
    const before = look(canary);
    for (const paths of places) {
      const image = await pulled({ layers: [tar(paths.split(' ').map((path) => make(path, canary)))] });
      const box = start(place.open(), root(image));
      const script = 'echo made >/workspace/made; cat /workspace/made /run/secrets/key; echo x >/dev/null';
      const told = await tell(box, shell(script, { secrets: { key: 'kept' } }));
      expect([paths, told.exit.code, told.output]).toEqual([paths, 0, 'made\nkept']);
      // Who that is the image says, or nobody.
      const user = await tell(box, shell('true', { user: 'daemon:daemon' }));
      expect([0, 126]).toContain(user.exit.code);
    }
    expect(look(canary)).toEqual(before);
    for (const name of before) expect(readFileSync(join(canary, name), 'utf8')).toBe('unharmed');
  });
});

describe('what an image says of itself', () => {
  const config = {
    Env: [
      'LD_PRELOAD=/evil.so',
      'PATH=/evil:/bin:/usr/bin',
      'HOME=/etc',
      'BASH_ENV=/evil.sh',
      'ENV=/evil.sh',
    ],
    Volumes: { '/': {}, '/etc': {}, '/proc': {} },
    OnBuild: ['RUN touch /onbuild'],
    Shell: ['/evil.sh'],
    StopSignal: 'SIGSTOP',
    WorkingDir: '/work',
    Entrypoint: ['/entry'],
  };

  test('makes a command of the build at most: no part of the platform runs it, and nothing is mounted or run for it', async () => {
    await using place = lab({ layersDir });
    const canary = join(place.scratch, 'canary');
    mkdirSync(canary);
    writeFileSync(join(canary, 'entry'), `#!/bin/sh\ntouch ${canary}/ran\n`, { mode: 0o755 });
    const image = await pulled({
      config,
      layers: [
        tar([
          file('evil.so', 'no library'),
          file('evil.sh', '#!/bin/sh\necho evil\n', { mode: 0o755 }),
          file('evil/true', '#!/bin/sh\necho its own true\n', { mode: 0o755 }),
          symlink('entry', join(canary, 'entry')),
          symlink('work', '/proc/self/fd/3'),
        ]),
      ],
    });
    expect(image.config.entrypoint).toEqual(['/entry']);
    const sandbox = place.open();
    const box = start(sandbox, root(image));
    const env = Object.fromEntries(image.config.env.map((each) => each.split(/=(.*)/s).slice(0, 2)));
    const run = ([program = '', ...args]: readonly string[], cwd = '/workspace') =>
      tell(box, { args: [program, ...args], env, cwd });
    expect((await run(image.config.entrypoint)).exit.code).toBe(127);
    expect((await run(['/bin/true'], image.config.workingDir)).exit.code).toBe(126);
    expect((await run(['true'])).output).toMatch(/ld\.so[^]*its own true/);
    const told = await run(['/bin/sh', '-c', 'echo text >/workspace/file; ls /onbuild; stat -fc %T /etc']);
    expect(told.output).toMatch(/ls: cannot access '\/onbuild'[^]*overlayfs/);
    box.kill();
    expect((await sandbox.list([''], 10)).map(({ path }) => path)).toEqual(['file']);
    expect(look(canary)).toEqual(['entry']);
  });

  test.each([
    ['a line without end', `root:${'x'.repeat(100_000)}`],
    ['a million lines', 'a:b:0:0\n'.repeat(1_000_000)],
    ['zeros', Buffer.alloc(1_000_000)],
    ['numbers beyond all bounds', 'evil:x:-1:99999999999999999999:\n'],
    ['a user without a number', 'evil\n'],
    ['ids of the host', 'evil:x:1879048192:1879048192::/:/bin/sh\n'],
  ])('of its users, such as %s, makes nobody of them', async (_what, passwd) => {
    await using place = lab({ layersDir });
    const image = await pulled({ layers: [tar([file('etc/passwd', '', { data: Buffer.from(passwd) })])] });
    const told = await tell(start(place.open(), root(image)), shell('id', { user: 'evil' }));
    expect(told).toEqual({
      exit: { reason: 'exit', code: 126 },
      output: "cofferdam: the image's user: not found\n",
    });
  });
});

test('set-user-id programs and file capabilities of an image give no more than there is', async () => {
  await using place = lab({ layersDir });
  const capability = '\0\0\0\x02\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\0\0\0\0';
  const program = readFileSync(join(debian.layers[0] ?? '', 'bin/grep'));
  const image = await pulled({
    layers: [
      tar([
        file('opt/suid', '', { data: program, mode: 0o6755 }),
        file('opt/capable', '', {
          data: program,
          mode: 0o755,
          pax: [['SCHILY.xattr.security.capability', capability]],
        }),
      ]),
    ],
  });
  const box = start(place.open(), root(image));
  const script =
    'cd /opt; for each in suid capable; do ./$each -E "^(Uid|CapEff|CapPrm)" /proc/self/status; done';
  const told = await tell(box, shell(script, { user: '1000:1000' }));
  const status = 'Uid:\t1000\t1000\t1000\t1000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n';
  expect(told).toEqual({ exit: { reason: 'exit', code: 0 }, output: status.repeat(2) });
});

test.each(overlays)('as many layers as an image may have are one root (%s)', async (overlay) => {
  await using place = lab({ layersDir, overlay });
  const layers = Array.from({ length: 499 }, (_, i) => {
    // Named as the store does it: longer than one page of options takes.
    const path = join(data, `${overlay}-${i}-`.padEnd(64, 'x'));
    mkdirSync(join(path, 'etc'), { recursive: true });
    writeFileSync(join(path, 'etc', `of-${i}`), '');
    return path;
  });
  const box = start(place.open(), { ...debian, layers: [...debian.layers, ...layers] });
  expect((await tell(box, shell('ls /etc | grep -c of-'))).output).toBe('499\n');
});

describe('is refused, and nothing of it stays:', () => {
  const refused = async (ref: string): Promise<string> => {
    const before = contents(data);
    const error = await store.resolve(ref, here).catch((reason: unknown) => reason);
    expect(contents(data)).toEqual(before);
    return error instanceof Error ? error.message : 'it was taken';
  };

  test.each<[string, (bytes: Buffer) => Buffer, RegExp]>([
    [
      'a layer that breaks off',
      (bytes) => gzipSync(bytes).subarray(0, -30),
      /damaged|unexpected end|ends too early/,
    ],
    ['a layer whose tar breaks off', (bytes) => gzipSync(bytes.subarray(0, 700)), /digest|ends too early/],
  ])('%s', async (_what, compress, message) => {
    const { ref } = await publish(fixture.registry, { layers: [layer('a')], compress });
    expect(await refused(ref)).toMatch(message);
  });

  test.each<[string, number, RegExp]>([
    ['a manifest of 100 MB', 100_000_000, /image 127\.0\.0\.1:\d+\/x: /],
    ['a manifest of 3 MB that is none', 3_000_000, /manifest/],
  ])('%s', async (_what, bytes, message) => {
    const head = Buffer.from('{"schemaVersion":2,"layers":[');
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' });
      response.end(Buffer.concat([head, Buffer.alloc(bytes, ' ')]));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    try {
      expect(await refused(`127.0.0.1:${port}/x`)).toMatch(message);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
