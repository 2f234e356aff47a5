import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Outcome } from '../../../src/build.ts';
import type { Consumer } from '../../../src/queue/consumer.ts';
import { newRepository } from '../../../src/repositories/change.ts';
import type { Trigger } from '../../../src/trigger.ts';
import { makeSpec } from '../queue/specs.ts';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';
import { startWorker, until } from './worker.ts';

const redis = useRedis();
let service: TestService;
let worker: Consumer;
const outcomes: Readonly<Record<string, Outcome>> = {
  passed: { status: 'passed' },
  failed: { status: 'failed', reason: 'exit' },
  timed_out: { status: 'timed_out', reason: 'timeout' },
  errored: { status: 'errored', reason: 'image', message: 'there is no such image' },
};

const url = 'https://github.com/acme/app.git';
const add = async (name: string, badge: 'public' | 'private') => {
  const repository = { ...newRepository({ name, forge: 'github', url }), badge };
  await service.repositories.add(repository, { webhookSecrets: ['a secret of a webhook'] });
};

beforeAll(async () => {
  service = await startService(await redis.connect());
  worker = startWorker(
    service,
    async ({ claim }) => outcomes[claim.spec.environment['OUTCOME'] ?? ''] ?? { status: 'passed' },
  );
  await add('Acme/app', 'public');
  await add('acme/quiet', 'private');
});
afterAll(async () => {
  await worker.close();
  await service.stop();
});

const get = (path: string, headers: Readonly<Record<string, string>> = {}) =>
  service.app.inject({ url: path, headers });
const messageOf = async (branch: string) =>
  (await get(`/badge/acme/app.json?branch=${encodeURIComponent(branch)}`)).json<{ message: string }>()
    .message;

/** `waiting` waits, `canceled` did so, `pull` is a failed one of a pull request; others end so. */
async function build(project: string, branch: string, fate: string): Promise<void> {
  const waits = fate === 'waiting' || fate === 'canceled';
  const pullRequest = {
    number: 1,
    sourceBranch: branch,
    targetBranch: 'main',
    from: { kind: 'same-repository' },
  } as const;
  const trigger: Trigger = fate === 'pull' ? { kind: 'pull_request', pullRequest } : { kind: 'push', branch };
  const { record } = await service.queue.submit(
    makeSpec({
      project,
      trigger,
      source: { kind: 'git', url, repository: project, repo: project, ref: `refs/heads/${branch}` },
      environment: { OUTCOME: fate === 'pull' ? 'failed' : fate },
      ...(waits && { labels: { arch: 'none' } }),
    }),
  );
  if (fate === 'waiting') return;
  if (fate === 'canceled') await service.queue.cancel(record.id);
  await until(async () => (await service.records.get(record.id))?.record.finishedAt !== undefined);
}

describe('the badge of a branch', () => {
  test.for([
    ['unknown', []],
    ['running', ['waiting']],
    ['passing', ['failed', 'passed']],
    ['failing', ['passed', 'failed']],
    ['failing', ['passed', 'timed_out']],
    ['errored', ['passed', 'errored']],
    ['passing', ['passed', 'canceled']],
    ['passing', ['passed', 'waiting']],
    ['passing', ['passed', 'pull']],
    ['unknown', ['canceled']],
    ['failing', ['failed', ...Array.from({ length: 25 }, () => 'waiting')]],
  ] as const)('is %s after %j', async ([state, fates]) => {
    const branch = `a/${fates.join('-')}`.slice(0, 200);
    for (const fate of fates) await build('Acme/app', branch, fate);
    expect(await messageOf(branch)).toBe(state);
  });

  test('is that of the default branch when none is named, and follows its builds', async () => {
    await build('Acme/app', 'main', 'passed');
    const first = await get('/badge/acme/app.svg');
    expect(first.body).toContain('build: passing');
    const etag = String(first.headers['etag']);
    expect((await get('/badge/acme/app.svg', { 'if-none-match': etag })).statusCode).toBe(304);
    await build('Acme/app', 'main', 'failed');
    const second = await get('/badge/acme/app.svg', { 'if-none-match': etag });
    expect([second.statusCode, second.body]).toEqual([200, expect.stringContaining('build: failing')]);
  });
});

describe('a badge', () => {
  test('is an image that does nothing, or what shields reads', async () => {
    const image = await get('/badge/acme/app.svg?branch=none');
    expect(image.headers).toMatchObject({
      'content-type': 'image/svg+xml; charset=utf-8',
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
      etag: expect.stringMatching(/^"[\w-]{43}"$/),
    });
    expect(image.body).toMatch(/^<svg .*<\/svg>$/);
    const shields = await get('/badge/acme/app.json?branch=none');
    expect(shields.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(shields.json()).toEqual({
      schemaVersion: 1,
      label: 'build',
      message: 'unknown',
      color: 'lightgrey',
    });
  });

  test.for(['acme/app', 'ACME/App', 'acme%2Fapp'])('is found as %s', async (name) => {
    await build('Acme/app', 'found', 'passed');
    expect((await get(`/badge/${name}.json?branch=found`)).json()).toMatchObject({ message: 'passing' });
  });

  test.for(['svg', 'json'])('as .%s tells nobody that a private repository is there', async (kind) => {
    await build('acme/quiet', 'main', 'passed');
    const [quiet, none] = await Promise.all([
      get(`/badge/acme/quiet.${kind}`),
      get(`/badge/acme/none.${kind}`),
    ]);
    const changing = /^(date|x-request-id|ratelimit-.*|x-ratelimit-.*)$/;
    const shown = ({ statusCode, headers, body }: typeof quiet) => ({
      statusCode,
      headers: Object.entries(headers).filter(([name]) => !changing.test(name)),
      body,
    });
    expect(quiet.statusCode).toBe(200);
    expect(shown(quiet)).toEqual(shown(none));
    expect(shown(quiet)).toEqual(shown(await get(`/badge/acme/app.${kind}?branch=none`)));
  });

  test.for([
    '"><script>alert(1)</script>',
    "'/><image href=x onerror=y>",
    '&lt;b&gt;',
    ']]>',
    '\u0000',
    '-->',
    '../../x',
  ])('of the branch %j has nothing of its name', async (branch) => {
    const hostile = await get(`/badge/acme/app.svg?branch=${encodeURIComponent(branch)}`);
    expect(hostile.body).toBe((await get('/badge/acme/app.svg?branch=none')).body);
  });

  test.for(['/badge/acme/app', '/badge/acme/app.png', '/badge/.svg', '/badge/'])(
    'is not at %s',
    async (path) => {
      expect((await get(path)).statusCode).toBe(404);
    },
  );
});
