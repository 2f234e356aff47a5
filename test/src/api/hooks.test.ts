import { createHmac, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ForgeKind, forges } from '../../../src/repositories.ts';
import type { Message } from '../../../src/triggers/forge.ts';
import { useRedis } from '../../redis.ts';
import { a, b, githubPush, makeRepository, signed, zeros } from '../triggers/samples.ts';
import { push, type Receipt, senderTo } from './hook-sender.ts';
import { startService, type TestService } from './service.ts';

const redis = useRedis();
let service: TestService;
beforeAll(async () => {
  service = await startService(await redis.connect());
  await service.repositories.add(makeRepository(), { webhookSecrets: ['new-secret', 'old-secret'] });
  await service.repositories.add(makeRepository({ name: 'other' }), { webhookSecrets: ['other-secret'] });
  await service.repositories.add(makeRepository({ name: 'bare' }), { webhookSecrets: [] });
  for (const kind of forges) {
    await service.repositories.add(makeRepository({ name: `of/${kind}`, forge: kind }), {
      webhookSecrets: [`secret of ${kind}`],
    });
  }
});
afterAll(() => service.stop());

const { send, ask } = senderTo(() => service);

/** The payload of a push to `main`, in the words of each forge. */
const payloads: Readonly<Record<ForgeKind, readonly [event: string, payload: object]>> = {
  github: ['push', githubPush()],
  gitea: ['push', githubPush()],
  forgejo: ['push', githubPush()],
  gitlab: [
    'Push Hook',
    { ref: 'refs/heads/main', before: a, after: b, project: { path_with_namespace: 'octo/hello' } },
  ],
  bitbucket: [
    'repo:push',
    {
      repository: { full_name: 'octo/hello' },
      push: { changes: [{ old: null, new: { type: 'branch', name: 'main', target: { hash: b } } }] },
    },
  ],
  generic: ['', { refs: [{ ref: 'refs/heads/main', after: b }] }],
};

describe('a genuine delivery', () => {
  test.each(forges)('of %s makes the build of its commit', async (kind) => {
    const [event, payload] = payloads[kind];
    const response = await send(signed(kind, payload, `secret of ${kind}`, { event }), `${kind}/of/${kind}`);
    expect(response.statusCode).toBe(202);
    const { delivery, builds, ignored } = response.json<Receipt>();
    expect([builds.length, ignored]).toEqual([1, []]);
    const stored = await service.records.get(builds[0] ?? '');
    expect(stored?.spec).toMatchObject({
      project: `of/${kind}`,
      source: {
        kind: 'git',
        url: 'https://git.example.org/octo/hello.git',
        repository: `of/${kind}`,
        ref: 'refs/heads/main',
        sha: b,
      },
      trigger: { kind: 'push', branch: 'main', delivery },
      trust: 'trusted',
      requestedBy: `hook:of/${kind}`,
    });
  });

  test('may be signed by an older secret, until that is removed', async () => {
    expect((await send(push('old-secret'))).statusCode).toBe(202);
  });

  test.each(['github/octo%2Fhello', 'github/Octo/HELLO'])('may name its repository as %s', async (path) => {
    expect((await send(push(), path)).statusCode).toBe(202);
  });

  test('that asks for nothing is answered with the reason', async () => {
    const ping = await send(
      signed('github', { zen: 'x' }, 'new-secret', { event: 'ping', id: randomUUID() }),
    );
    expect([ping.statusCode, ping.json()]).toEqual([
      202,
      { delivery: expect.any(String), builds: [], ignored: ['pong: the webhook works'] },
    ]);
    const gone = await send(push('new-secret', { after: zeros, head_commit: null }));
    expect(gone.json<Receipt>().ignored).toEqual(['refs/heads/main was deleted']);
  });

  test('that cannot be understood is kept, and refused with what is missing', async () => {
    const response = await send(push('new-secret', { ref: undefined }));
    expect(response.statusCode).toBe(422);
    const { detail } = response.json<{ detail: string }>();
    expect(detail).toMatch(/^ref is missing \(it is kept as the delivery \w{26}\)$/);
    const shown = await ask('GET', `/v1/deliveries/${detail.slice(-27, -1)}`);
    expect(shown.json()).toMatchObject({ status: 'malformed', message: 'ref is missing', builds: [] });
  });

  test('that tells of several refs makes as many builds', async () => {
    const refs = ['refs/heads/main', 'refs/tags/v1', 'refs/notes/x'].map((ref) => ({ ref, after: b }));
    const response = await send(signed('generic', { refs }, 'secret of generic'), 'generic/of/generic');
    const { builds, ignored } = response.json<Receipt>();
    expect([new Set(builds).size, ignored.length]).toEqual([2, 1]);
  });
});

describe('a delivery that is not genuine', () => {
  const sha1 = (body: Buffer) => `sha1=${createHmac('sha1', 'new-secret').update(body).digest('hex')}`;
  const genuine = push();
  const without = (name: string) => ({ ...genuine.headers, [name]: '' });
  const reencoded = Buffer.from(JSON.stringify(JSON.parse(genuine.body.toString()), null, 1));

  test.each<[string, Message, string]>([
    ['signed by another secret', push('wrong'), 'github/octo/hello'],
    ['signed by the secret of another repository', push('other-secret'), 'github/octo/hello'],
    ['without signature', { ...genuine, headers: without('x-hub-signature-256') }, 'github/octo/hello'],
    [
      'signed by SHA-1 only',
      { ...genuine, headers: { ...without('x-hub-signature-256'), 'x-hub-signature': sha1(genuine.body) } },
      'github/octo/hello',
    ],
    [
      'with SHA-1 where SHA-256 belongs',
      { ...genuine, headers: { ...genuine.headers, 'x-hub-signature-256': sha1(genuine.body) } },
      'github/octo/hello',
    ],
    ['with a body that was written again', { ...genuine, body: reencoded }, 'github/octo/hello'],
    [
      'with one more byte',
      { ...genuine, body: Buffer.concat([genuine.body, Buffer.from(' ')]) },
      'github/octo/hello',
    ],
    ['without a body', { ...genuine, body: Buffer.alloc(0) }, 'github/octo/hello'],
    ['for a repository that is not there', push(), 'github/octo/none'],
    ['for a repository of another forge', signed('gitea', githubPush(), 'new-secret'), 'gitea/octo/hello'],
    ['for a repository without secrets', push(''), 'github/bare'],
  ])('%s is refused, and says nothing of why', async (_what, message, path) => {
    const { deliveries: before } = (await ask('GET', '/v1/deliveries')).json<{ deliveries: unknown[] }>();
    const response = await send(message, path);
    expect(response.statusCode).toBe(401);
    expect(response.json()).toEqual({
      type: 'about:blank',
      title: 'Unauthorized',
      status: 401,
      detail: 'no repository of that name has a secret that makes this signature',
      requestId: expect.any(String),
    });
    expect((await ask('GET', '/v1/deliveries')).json()).toEqual({ deliveries: before });
  });

  test('is refused also with a token of the service', async () => {
    const headers = { ...push('wrong').headers, authorization: service.bearer.admin };
    expect((await send({ ...push('wrong'), headers })).statusCode).toBe(401);
  });

  test('of a forge that there is none of is refused', async () => {
    expect((await send(push(), 'sourceforge/octo/hello')).statusCode).toBe(400);
  });
});

test('a body of more than 25 MiB is refused before it is read', async () => {
  const big = push('new-secret', { padding: 'x'.repeat(26 * 1024 ** 2) });
  expect((await send(big)).statusCode).toBe(413);
  const fits = push('new-secret', { padding: 'x'.repeat(24 * 1024 ** 2) });
  expect((await send(fits)).statusCode).toBe(202);
});

test('a body that trickles is given up', async () => {
  const impatient = await startService(await redis.connect(), { pace: { graceMs: 0, bytesPerSecond: 1e9 } });
  try {
    const url = `${await impatient.listen()}/v1/hooks/github/octo/hello`;
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    const sent = request(url, { method: 'POST' }, (response) => resolve(response.statusCode));
    sent.once('error', reject);
    sent.write('{');
    expect(await promise).toBe(408);
    sent.destroy();
  } finally {
    await impatient.stop();
  }
});

test('requests are limited for each repository and address', async () => {
  const limited = await startService(await redis.connect(), { rateLimit: 3 });
  const { send: sendTo } = senderTo(() => limited);
  try {
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) statuses.push((await sendTo(push())).statusCode);
    expect(statuses).toEqual([401, 401, 401, 429]);
    expect((await sendTo(push(), 'github/other')).statusCode).toBe(401);
  } finally {
    await limited.stop();
  }
});
