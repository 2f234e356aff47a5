import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import type { PublicBuild } from '../../../src/api/record.ts';
import type { ProblemPlace } from '../../../src/api/validation.ts';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';

const redis = useRedis();
let service: TestService;
let address: string;
let tar: Buffer;
beforeAll(async () => {
  service = await startService(await redis.connect(), { uploadMaxBytes: 4 * 1024 ** 2 });
  address = await service.listen();
  const tree = mkdtempSync(join(tmpdir(), 'cofferdam-tree-'));
  mkdirSync(join(tree, 'src'));
  writeFileSync(join(tree, '.cofferdam.yaml'), 'image: a\nsteps: [{ name: s, commands: [x] }]\n');
  writeFileSync(join(tree, 'src', 'data'), Buffer.alloc(300_000, 'content '));
  tar = (await run({ file: 'tar', args: ['-C', tree, '-c', '.'] })).stdout;
  rmSync(tree, { recursive: true });
});
afterAll(() => service.stop());

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const kept = async (digest: string) => buffer((await service.storage.get(`uploads/${digest}.tar`)).body);
const everythingKept = async () => new Set(await Readable.from(service.storage.list('uploads/')).toArray());

type Body = string | Buffer | ReadableStream;

interface Sent {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Partial<PublicBuild> & {
    readonly detail?: string;
    readonly errors?: readonly ProblemPlace[];
  };
}

/** Over a real connection. */
async function send(
  method: string,
  path: string,
  body: Body,
  headers: Record<string, string>,
): Promise<Sent> {
  const response = await fetch(address + path, {
    method,
    body,
    headers: { authorization: service.bearer.submit, ...headers },
    ...(body instanceof ReadableStream && { duplex: 'half' }),
  });
  const { status, headers: answered } = response;
  return { status, headers: answered, body: JSON.parse(await response.text()) };
}

const wrapped: [string, Record<string, string>, (bytes: Buffer) => Buffer][] = [
  ['as it is', { 'content-type': 'application/x-tar' }, (bytes) => bytes],
  [
    'with Content-Encoding gzip',
    { 'content-type': 'application/x-tar', 'content-encoding': 'gzip' },
    gzipSync,
  ],
  [
    'with Content-Encoding zstd',
    { 'content-type': 'application/x-tar', 'content-encoding': 'zstd' },
    zstdCompressSync,
  ],
  ['as application/gzip', { 'content-type': 'application/gzip' }, gzipSync],
  ['as application/zstd', { 'content-type': 'application/zstd' }, zstdCompressSync],
];

describe('PUT /v1/uploads/:digest', () => {
  test.each(wrapped)('keeps a tar that comes %s', async (_how, headers, wrap) => {
    await service.storage.removeAll('uploads/');
    const digest = sha256(tar);
    const first = await send('PUT', `/v1/uploads/${digest}`, wrap(tar), headers);
    expect([first.status, first.body]).toEqual([201, { digest, bytes: tar.length }]);
    expect(await kept(digest)).toEqual(tar);
    const again = await send('PUT', `/v1/uploads/${digest}`, wrap(tar), headers);
    expect([again.status, again.body]).toEqual([200, { digest, bytes: tar.length }]);
  });

  test('HEAD tells whether it is there', async () => {
    const head = (digest: string) =>
      service.app.inject({
        method: 'HEAD',
        url: `/v1/uploads/${digest}`,
        headers: { authorization: service.bearer.submit },
      });
    await send('PUT', `/v1/uploads/${sha256(tar)}`, tar, { 'content-type': 'application/x-tar' });
    expect((await head(sha256(tar))).statusCode).toBe(200);
    expect((await head('0'.repeat(64))).statusCode).toBe(404);
  });
});

test('an upload that is being removed is asked for again a moment later', async () => {
  const { redis: handle, storage } = service;
  const digest = sha256(tar);
  await storage.removeAll('uploads/');
  await handle.client.sadd(`${handle.prefix}removing`, `uploads/${digest}.tar`);
  const refused = await send('PUT', `/v1/uploads/${digest}`, tar, { 'content-type': 'application/x-tar' });
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '2']);
  expect(refused.body.detail).toContain('is being removed');
  expect(await everythingKept()).toEqual(new Set());
  await handle.client.srem(`${handle.prefix}removing`, `uploads/${digest}.tar`);
  const again = await send('PUT', `/v1/uploads/${digest}`, tar, { 'content-type': 'application/x-tar' });
  expect(again.status).toBe(201);
});

const plain = { 'content-type': 'application/x-tar' };
const gzip = { 'content-type': 'application/gzip' };
const zstd = { 'content-type': 'application/zstd' };
const zeros = (bytes: number) => Readable.toWeb(Readable.from(chunksOfZeros(bytes))) as ReadableStream;

function* chunksOfZeros(bytes: number): Generator<Buffer> {
  const chunk = Buffer.alloc(64 * 1024);
  for (let sent = 0; sent < bytes; sent += chunk.length) yield chunk;
}

const wrong: [string, number, string, Record<string, string>, () => Body][] = [
  ['what is no tar', 400, 'no tar', plain, () => Buffer.alloc(2000, 'x')],
  ['an empty body', 400, 'no tar', plain, () => Buffer.alloc(0)],
  ['a compressed tar that is said to be none', 400, 'no tar', plain, () => gzipSync(tar)],
  ['what is no gzip', 400, 'no valid gzip', gzip, () => tar],
  ['what is no zstd', 400, 'no valid zstd', zstd, () => tar],
  ['a gzip that breaks off', 400, 'no valid gzip', gzip, () => gzipSync(tar).subarray(0, 500)],
  ['a tar that is too large', 413, 'larger than', plain, () => Buffer.concat([tar, Buffer.alloc(5_000_000)])],
  ['a bomb of gzip', 413, 'larger than', gzip, () => gzipSync(Buffer.alloc(200_000_000))],
  ['a bomb of zstd', 413, 'larger than', zstd, () => zstdCompressSync(Buffer.alloc(200_000_000))],
  ['gigabytes of zeros', 413, 'larger than', plain, () => zeros(10 * 1024 ** 3)],
  ['an encoding nobody knows', 415, 'br', { ...plain, 'content-encoding': 'br' }, () => tar],
];

describe.each([
  ['PUT', `/v1/uploads/${'0'.repeat(64)}`],
  ['POST', '/v1/builds?project=p'],
])('%s %s', (method, path) => {
  test.each(wrong)('refuses %s with %i and keeps nothing', async (_what, status, said, headers, body) => {
    const before = await everythingKept();
    const answer = await send(method, path, body(), headers);
    expect([answer.status, answer.body.detail]).toEqual([status, expect.stringContaining(said)]);
    expect(await everythingKept()).toEqual(before);
  });

  test('keeps nothing of a body that breaks off', async () => {
    const spool = join(service.directory, 'spool');
    const before = await everythingKept();
    const { hostname, port } = new URL(address);
    const socket = connect(Number(port), hostname);
    socket.write(
      `${method} ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: ${service.bearer.submit}\r\n` +
        `Content-Type: application/x-tar\r\nContent-Length: ${tar.length}\r\n\r\n`,
    );
    socket.write(tar.subarray(0, 1000));
    socket.end();
    await text(socket);
    expect(await everythingKept()).toEqual(before);
    // The socket may be closed before the server has taken the spooled file's name away.
    await expect.poll(() => (existsSync(spool) ? readdirSync(spool) : [])).toEqual([]);
  });
});

test('a tar of another digest is refused and not kept', async () => {
  const digest = '1'.repeat(64);
  const answer = await send('PUT', `/v1/uploads/${digest}`, tar, plain);
  expect([answer.status, answer.body.detail]).toEqual([400, expect.stringContaining(sha256(tar))]);
  expect(await service.storage.head(`uploads/${digest}.tar`)).toBeUndefined();
});

describe('a build', () => {
  test('of an upload', async () => {
    const digest = sha256(tar);
    await send('PUT', `/v1/uploads/${digest}`, tar, plain);
    const source = { kind: 'upload', digest };
    const sourceInfo = { repo: 'https://git.example/web', ref: 'main', sha: 'a'.repeat(40) };
    const { status, body } = await send(
      'POST',
      '/v1/builds',
      JSON.stringify({ project: 'p', source, sourceInfo }),
      {
        'content-type': 'application/json',
      },
    );
    expect([status, body.source]).toEqual([202, sourceInfo]);
    expect((await service.records.get(String(body.id)))?.spec.source).toEqual({
      ...source,
      ...sourceInfo,
      bytes: tar.length,
    });
  });

  test('of an upload that is not there is refused', async () => {
    const source = { kind: 'upload', digest: '2'.repeat(64) };
    const { status, body } = await send('POST', '/v1/builds', JSON.stringify({ project: 'p', source }), {
      'content-type': 'application/json',
    });
    expect(status).toBe(422);
    expect(body).toMatchObject({ errors: [{ pointer: '#/source/digest' }] });
  });

  test.each(wrapped)('of a tar in the body, %s', async (_how, headers, wrap) => {
    const query =
      'project=my%20tree&priority=3&group=g&ref=topic&repo=r&env=A=1&env=B=x%3Dy&label=arch=arm64';
    const { status, body, headers: answered } = await send('POST', `/v1/builds?${query}`, wrap(tar), headers);
    expect(status).toBe(202);
    const { id = '', ...build } = body;
    expect(answered.get('location')).toBe(`/v1/builds/${id}`);
    expect(build).toMatchObject({ project: 'my tree', priority: 3, group: 'g', labels: { arch: 'arm64' } });
    expect((await service.records.get(id))?.spec).toMatchObject({
      source: { kind: 'upload', digest: sha256(tar), bytes: tar.length, repo: 'r', ref: 'topic' },
      environment: { A: '1', B: 'x=y' },
    });
    expect(await kept(sha256(tar))).toEqual(tar);
  });

  test.each([
    ['no project', '', 'project'],
    ['a variable without =', 'project=p&env=A', 'env'],
    ['a variable with a bad name', 'project=p&env=A%20B=1', 'env'],
    ['a label with a bad value', 'project=p&label=arch=%20', 'label'],
    ['a priority that is none', 'project=p&priority=high', 'priority'],
    ['a commit that is none', 'project=p&sha=HEAD', 'sha'],
  ])('of a tar in the body, with %s, is refused', async (_what, query, parameter) => {
    const { status, body } = await send('POST', `/v1/builds?${query}`, tar, plain);
    expect([status, body.errors]).toEqual([400, [expect.objectContaining({ parameter })]]);
  });
});

test('JSON is no tar', async () => {
  const answer = await send('PUT', `/v1/uploads/${'0'.repeat(64)}`, '{}', {
    'content-type': 'application/json',
  });
  expect(answer.status).toBe(415);
});
