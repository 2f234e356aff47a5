import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PublicBuild } from '../../../src/api/record.ts';
import type { Consumer } from '../../../src/queue/consumer.ts';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';
import { startWorker, until } from './worker.ts';

const redis = useRedis();
let service: TestService;
let worker: Consumer | undefined;
beforeEach(async () => {
  service = await startService(await redis.connect());
});
afterEach(async () => {
  await worker?.close();
  worker = undefined;
  await service.stop();
});

const workflow = 'image: a\nsteps: [{ name: s, commands: [x] }]';

function ask(method: 'GET' | 'POST', url: string, payload?: object, headers: Record<string, string> = {}) {
  const authorization = service.bearer[method === 'GET' ? 'read' : 'submit'];
  return service.app.inject({
    method,
    url,
    headers: { authorization, ...headers },
    ...(payload && { payload }),
  });
}

const submission = { project: 'p', source: { kind: 'none' }, workflow };

async function submitted(change: object = {}): Promise<PublicBuild> {
  return (await ask('POST', '/v1/builds', { ...submission, ...change })).json();
}

const show = async (id: string) => (await ask('GET', `/v1/builds/${id}`)).json<PublicBuild>();
const finished = (id: string) =>
  until(async () => {
    const build = await show(id);
    return build.finishedAt !== undefined && build;
  });

describe('POST /v1/builds', () => {
  test('accepts a build and says where it is', async () => {
    const response = await ask('POST', '/v1/builds', {
      ...submission,
      priority: 7,
      labels: { arch: 'arm64' },
      environment: { A: 'b' },
      group: 'deploy',
      notBefore: '2100-01-01T02:00:00+02:00',
    });
    expect(response.statusCode).toBe(202);
    const build = response.json<PublicBuild>();
    expect(response.headers['location']).toBe(`/v1/builds/${build.id}`);
    expect(build).toMatchObject({
      project: 'p',
      status: 'queued',
      attempt: 0,
      priority: 7,
      labels: { arch: 'arm64' },
      group: 'deploy',
      notBefore: '2100-01-01T00:00:00.000Z',
      source: { repo: 'p' },
    });
    const [token] = await service.tokens.list().then((all) => all.filter(({ name }) => name === 'submit'));
    expect((await service.records.get(build.id))?.spec).toMatchObject({
      source: { kind: 'none' },
      workflow,
      environment: { A: 'b' },
      requestedBy: token?.id,
    });
  });

  test('with an Idempotency-Key makes one build, however often and however many at once', async () => {
    const key = { 'idempotency-key': 'push-17' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask('POST', '/v1/builds', submission, key)),
    );
    expect(new Set(answers.map((answer) => answer.headers['location'])).size).toBe(1);
    expect(answers.filter((answer) => answer.headers['idempotent-replayed'] === undefined)).toHaveLength(1);
    const other = await ask('POST', '/v1/builds', submission, { 'idempotency-key': 'push-18' });
    expect(other.headers['location']).not.toBe(answers[0]?.headers['location']);
  });

  test.for<[string, object]>([
    ['project', { project: 'q' }],
    ['workflow', { workflow: `${workflow} ` }],
    ['environment', { environment: { A: 'b' } }],
    ['labels', { labels: { a: 'b', c: 'd' } }],
    ['priority', { priority: 6 }],
    ['group', { group: 'g' }],
    ['time', { notBefore: '2100-01-01T00:00:00Z' }],
  ])('refuses an Idempotency-Key that was used with another %s', async ([, change]) => {
    const key = { 'idempotency-key': 'push-19' };
    const first = await ask('POST', '/v1/builds', submission, key);
    const other = await ask('POST', '/v1/builds', { ...submission, ...change }, key);
    expect(other.statusCode).toBe(422);
    expect(other.headers['content-type']).toMatch('application/problem+json');
    const { id } = first.json<PublicBuild>();
    expect(other.json()).toMatchObject({
      detail: expect.stringMatching(`'push-19' was used for another request, which made the build ${id};`),
      errors: [{ header: 'Idempotency-Key' }],
    });
    expect((await ask('POST', '/v1/builds', submission, key)).json()).toMatchObject({ id });
    const { builds } = await service.records.list({}, { limit: 10 });
    expect(builds).toHaveLength(1);
  });

  test('takes the same request with its parts in another order for the same', async () => {
    const key = { 'idempotency-key': 'push-20' };
    const first = await ask('POST', '/v1/builds', { ...submission, labels: { a: 'b', c: 'd' } }, key);
    const again = await ask('POST', '/v1/builds', { labels: { c: 'd', a: 'b' }, ...submission }, key);
    expect(again.json<PublicBuild>().id).toBe(first.json<PublicBuild>().id);
  });

  test('makes one build also when different requests with one Idempotency-Key come at once', async () => {
    const key = { 'idempotency-key': 'push-21' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        ask('POST', '/v1/builds', { ...submission, priority: i % 2 }, key),
      ),
    );
    expect(answers.filter(({ statusCode }) => statusCode === 202)).toHaveLength(10);
    expect(answers.filter(({ statusCode }) => statusCode === 422)).toHaveLength(10);
    expect((await service.records.list({}, { limit: 10 })).builds).toHaveLength(1);
  });

  test('refuses an Idempotency-Key that is none', async () => {
    const response = await ask('POST', '/v1/builds', submission, { 'idempotency-key': 'a b' });
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ errors: [{ header: 'idempotency-key' }] });
  });

  test('takes no query beside JSON', async () => {
    const response = await ask('POST', '/v1/builds?priority=9', submission);
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ errors: [{ parameter: 'priority' }] });
  });
});

describe('GET /v1/builds/:id', () => {
  test('says why a queued build waits', async () => {
    const { id } = await submitted({ labels: { arch: 'arm64' } });
    expect(await show(id)).toMatchObject({
      status: 'queued',
      waiting: 'No worker with the labels arch=arm64 is there.',
    });
  });

  test('has an ETag that changes with the build, and answers 304 to it', async () => {
    const { id } = await submitted();
    const first = await ask('GET', `/v1/builds/${id}`);
    const etag = String(first.headers['etag']);
    const again = await ask('GET', `/v1/builds/${id}`, undefined, { 'if-none-match': `"x", W/${etag}` });
    expect([again.statusCode, again.body]).toEqual([304, '']);
    await ask('POST', `/v1/builds/${id}/cancel`);
    const changed = await ask('GET', `/v1/builds/${id}`, undefined, { 'if-none-match': etag });
    expect(changed.statusCode).toBe(200);
    expect(changed.headers['etag']).not.toBe(etag);
  });

  test('shows a finished build, without where the service keeps it', async () => {
    worker = startWorker(service, async ({ step }) => {
      await step('s', 'passed');
      return { status: 'failed', reason: 'exit' };
    });
    const { id } = await submitted();
    const build = await finished(id);
    expect(build).toMatchObject({
      status: 'failed',
      reason: 'exit',
      attempts: [{ attempt: 1, status: 'failed' }],
    });
    expect(build).not.toHaveProperty('storage');
    expect(build).not.toHaveProperty('waiting');
  });
});

describe('GET /v1/builds', () => {
  test('gives every build once, newest first, page by page', async () => {
    const made: string[] = [];
    for (let i = 0; i < 7; i++) made.unshift((await submitted()).id);
    const seen: string[] = [];
    const sizes: number[] = [];
    let url: string | undefined = '/v1/builds?limit=3';
    while (url !== undefined) {
      const response = await ask('GET', url);
      const page = response.json<{ builds: PublicBuild[]; next?: string }>();
      seen.push(...page.builds.map(({ id }) => id));
      sizes.push(page.builds.length);
      url = /^<(.*)>; rel="next"$/.exec(String(response.headers['link'] ?? ''))?.[1];
      expect(url === undefined).toBe(page.next === undefined);
      // A build that comes meanwhile does not move the pages.
      await submitted({ project: 'late' });
    }
    expect(seen).toEqual(made);
    expect(sizes).toEqual([3, 3, 1]);
  });

  test('filters, and keeps the filter from page to page', async () => {
    const digest = 'a'.repeat(64);
    await service.storage.put(`uploads/${digest}.tar`, Buffer.from('tar'));
    const source = { kind: 'upload', digest };
    const of = (project: string, ref: string) => submitted({ project, source, sourceInfo: { ref } });
    const a = [
      await of('web', 'main'),
      await of('web', 'topic'),
      await of('web', 'main'),
      await of('api', 'main'),
    ];
    await ask('POST', `/v1/builds/${a[0]?.id}/cancel`);
    const list = async (query: string) => {
      const ids: (string | undefined)[] = [];
      for (let url = `/v1/builds?limit=1&${query}`; url !== ''; ) {
        const response = await ask('GET', url);
        ids.push(...response.json<{ builds: PublicBuild[] }>().builds.map(({ id }) => id));
        url = /^<(.*)>/.exec(String(response.headers['link'] ?? ''))?.[1] ?? '';
      }
      return ids.map((id) => a.findIndex((build) => build.id === id));
    };
    expect(await list('project=web')).toEqual([2, 1, 0]);
    expect(await list('project=web&branch=main')).toEqual([2, 0]);
    expect(await list('project=web&branch=main&status=queued')).toEqual([2]);
    expect(await list('status=canceled')).toEqual([0]);
    const third = encodeURIComponent(String(a[2]?.createdAt));
    expect(await list(`after=${third}&before=2100-01-01T00:00:00Z`)).toEqual(expect.arrayContaining([3, 2]));
    expect(await list('before=2000-01-01T00:00:00Z')).toEqual([]);
  });
});

describe('cancel', () => {
  test('ends a queued build at once, again and again the same', async () => {
    const { id } = await submitted();
    for (let i = 0; i < 3; i++) {
      const response = await ask('POST', `/v1/builds/${id}/cancel`);
      expect([response.statusCode, response.json<PublicBuild>().status]).toEqual([200, 'canceled']);
    }
  });

  test('tells the worker of a running one', async () => {
    worker = startWorker(service, async ({ claim }) => {
      await new Promise((resolve) => claim.canceled.addEventListener('abort', resolve));
      return { status: 'canceled', reason: 'canceled' };
    });
    const { id } = await submitted();
    await until(async () => (await show(id)).status === 'running');
    const response = await ask('POST', `/v1/builds/${id}/cancel`);
    expect(response.statusCode).toBe(202);
    expect(await finished(id)).toMatchObject({ status: 'canceled' });
  });

  test('a thousand at once leave one state', async () => {
    const { id } = await submitted();
    const answers = await Promise.all(
      Array.from({ length: 1000 }, () => ask('POST', `/v1/builds/${id}/cancel`)),
    );
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([200]));
    expect(await show(id)).toMatchObject({ status: 'canceled' });
  });
});

describe('retry', () => {
  test('makes a new build of a finished one', async () => {
    const { id } = await submitted({ priority: 8 });
    await ask('POST', `/v1/builds/${id}/cancel`);
    const response = await ask('POST', `/v1/builds/${id}/retry`);
    expect(response.statusCode).toBe(202);
    const build = response.json<PublicBuild>();
    expect(build).toMatchObject({ status: 'queued', priority: 8, retryOf: id });
    expect(response.headers['location']).toBe(`/v1/builds/${build.id}`);
  });

  test('is refused while the build goes on', async () => {
    const { id } = await submitted();
    expect((await ask('POST', `/v1/builds/${id}/retry`)).statusCode).toBe(409);
  });
});
