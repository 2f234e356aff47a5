import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PublicBuild } from '../../../src/api/record.ts';
import type { Consumer } from '../../../src/queue/consumer.ts';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';
import { startWorker, until } from './worker.ts';

const redis = useRedis();
let service: TestService;
let worker: Consumer;
let id: string;

const content = 'The quick brown fox jumps over the lazy dog';
const hostile = '<script>"\n\r; filename=x\u202e.exe';
const files: Record<string, string> = {
  'dist/a b.tgz': content,
  'dist/é%2F.html': '<h1>hello</h1>',
  [`dist/${hostile}`]: 'x',
  empty: '',
};

beforeAll(async () => {
  service = await startService(await redis.connect());
  worker = startWorker(service, async ({ artifact }) => {
    for (const [path, text] of Object.entries(files)) await artifact(path, text);
    return { status: 'passed' };
  });
  const response = await service.app.inject({
    method: 'POST',
    url: '/v1/builds',
    headers: { authorization: service.bearer.submit },
    payload: {
      project: 'p',
      source: { kind: 'none' },
      workflow: 'image: a\nsteps: [{ name: s, commands: [x] }]',
    },
  });
  id = response.json<PublicBuild>().id;
  await until(async () => (await service.records.get(id))?.record.status === 'passed');
});
afterAll(async () => {
  await worker.close();
  await service.stop();
});

const url = (path: string) =>
  `/v1/builds/${id}/artifacts/${path.split('/').map(encodeURIComponent).join('/')}`;
const get = (path: string, headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') =>
  service.app.inject({ method, url: url(path), headers: { authorization: service.bearer.read, ...headers } });
const digest = createHash('sha256').update(content);
const etag = `"${digest.copy().digest('hex')}"`;

test('the list has every artifact with size and digest', async () => {
  const response = await service.app.inject({
    url: `/v1/builds/${id}/artifacts`,
    headers: { authorization: service.bearer.read },
  });
  expect(response.json()).toEqual({
    artifacts: Object.entries(files).map(([path, text]) => ({
      path,
      size: Buffer.byteLength(text),
      sha256: createHash('sha256').update(text).digest('hex'),
    })),
  });
});

test.each(Object.entries(files))('%j is downloaded as it is, and never shown', async (path, text) => {
  const response = await get(path);
  expect([response.statusCode, response.body]).toEqual([200, text]);
  expect(response.headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-length': String(Buffer.byteLength(text)),
    'content-security-policy': "sandbox; default-src 'none'",
    'x-content-type-options': 'nosniff',
    'content-disposition': expect.stringMatching(
      /^attachment; filename="[\w. -]+"; filename\*=UTF-8''[\w.%!~-]+$/,
    ),
  });
});

test('its name survives', async () => {
  const { headers } = await get(`dist/${hostile}`);
  const [, name = ''] = /filename\*=UTF-8''(.*)$/.exec(String(headers['content-disposition'])) ?? [];
  expect(decodeURIComponent(name)).toBe(hostile);
});

test('ETag and Repr-Digest are its SHA-256', async () => {
  const { headers } = await get('dist/a b.tgz');
  expect(headers).toMatchObject({ etag, 'repr-digest': `sha-256=:${digest.copy().digest('base64')}:` });
});

test.each([
  ['a range', { range: 'bytes=4-8' }, 206, 'quick', 'bytes 4-8/43'],
  ['the end', { range: 'bytes=-3' }, 206, 'dog', 'bytes 40-42/43'],
  ['an open range', { range: 'bytes=35-' }, 206, 'lazy dog', 'bytes 35-42/43'],
  ['more than there is', { range: 'bytes=35-999' }, 206, 'lazy dog', 'bytes 35-42/43'],
  ['several ranges, which are not served', { range: 'bytes=0-1,3-4' }, 200, content, undefined],
  ['a range backwards', { range: 'bytes=5-2' }, 200, content, undefined],
  ['another unit', { range: 'lines=1-2' }, 200, content, undefined],
  ['a range of this version', { range: 'bytes=0-2', 'if-range': etag }, 206, 'The', 'bytes 0-2/43'],
  ['a range of another version', { range: 'bytes=0-2', 'if-range': '"x"' }, 200, content, undefined],
  ['what the client has', { 'if-none-match': etag }, 304, '', undefined],
] as const)('%s', async (_what, headers, status, body, range) => {
  const response = await get('dist/a b.tgz', headers);
  expect([response.statusCode, response.body, response.headers['content-range']]).toEqual([
    status,
    body,
    range,
  ]);
});

test('a range after the end is refused, and the size told', async () => {
  const response = await get('dist/a b.tgz', { range: 'bytes=43-' });
  expect([response.statusCode, response.headers['content-range']]).toEqual([416, 'bytes */43']);
  expect(response.json()).toMatchObject({ status: 416 });
});

test('HEAD has the headers and no body', async () => {
  const response = await get('dist/a b.tgz', {}, 'HEAD');
  expect([response.statusCode, response.body, response.headers['content-length']]).toEqual([200, '', '43']);
});

describe('nothing but the list is served', () => {
  test.each(['../log', 'dist/../empty', 'dist', '/etc/passwd', '%2e%2e/log', 'dist%2Fa b.tgz', '', 'empty/'])(
    '%s',
    async (path) => {
      for (const form of [path, path.split('/').map(encodeURIComponent).join('/')]) {
        const response = await service.app.inject({
          url: `/v1/builds/${id}/artifacts/${form.replaceAll(' ', '%20')}`,
          headers: { authorization: service.bearer.read },
        });
        // inject() resolves `..` as a browser does; what comes is another route or nothing.
        if (form === 'dist/../empty' || form === '../log') continue;
        if (form === 'dist%2Fa%20b.tgz' || form === 'dist%2Fa b.tgz') continue;
        expect([form, response.statusCode]).toEqual([form, 404]);
      }
    },
  );
});
