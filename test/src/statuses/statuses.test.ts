import { describe, expect, test } from 'vitest';
import type { Status } from '../../../src/build.ts';
import { useRedis } from '../../redis.ts';
import { aborted, until, verdict } from '../queue/service.ts';
import { makeSpec } from '../queue/specs.ts';
import { type Kind, type Mood, startForge } from './forge-server.ts';
import { openSite, pushSpec, quickPace } from './site.ts';

const redis = useRedis();
const open = async (kind: Kind = 'gitlab', options = {}) => {
  const forge = await startForge(kind);
  return Object.assign(openSite(await redis.connect(), kind, forge, options), { forge });
};
const sha = 'a'.repeat(40);

describe('a forge is told that a build', () => {
  test.for<[Kind, Status, string[]]>([
    ['github', 'passed', ['pending', 'pending', 'success']],
    ['github', 'timed_out', ['pending', 'pending', 'failure']],
    ['gitea', 'errored', ['pending', 'pending', 'error']],
    ['gitlab', 'failed', ['pending', 'running', 'failed']],
    ['gitlab', 'canceled', ['pending', 'running', 'canceled']],
    ['bitbucket', 'passed', ['INPROGRESS', 'INPROGRESS', 'SUCCESSFUL']],
    ['bitbucket cloud', 'canceled', ['INPROGRESS', 'INPROGRESS', 'STOPPED']],
  ])('of %s is queued, is running, has %s', async ([kind, status, states]) => {
    const { forge, begin, queue, consume, concluded } = await open(kind);
    const { counts } = begin();
    const spec = pushSpec(sha);
    await queue.submit(spec);
    await until(() => forge.taken.length === 1);
    const done = new AbortController();
    consume({}, async (claim) => {
      await aborted(done.signal);
      return verdict(
        claim,
        status,
        status === 'errored' ? { reason: 'image', message: 'no such\nimage' } : {},
      );
    });
    await until(() => forge.taken.length === 2);
    done.abort();
    await until(() => forge.taken.length === 3);
    await until(concluded);
    expect(forge.taken.map(({ state }) => state)).toEqual(states);
    expect(forge.taken[2]).toMatchObject({
      commit: sha,
      context: 'cofferdam/push',
      url: `https://ci.example/v1/builds/${spec.id}/logs`,
    });
    expect(forge.taken.map(({ description }) => description)).toEqual([
      '#1 is queued',
      '#1 is running',
      expect.stringMatching(
        /^#1 (was canceled|(passed|failed|timed out) after \d s|could not be .*: no such image)$/,
      ),
    ]);
    expect(counts).toEqual({ told: 3, failed: 0, silent: 0, denied: 0, refused: 0 });
  });

  test('waits for approval, or was superseded', async () => {
    const { forge, begin, queue } = await open();
    begin();
    const first = pushSpec(sha, { hold: 'approval', supersedeKey: 'main' });
    await queue.submit(first);
    await until(() => forge.taken.length === 1);
    await queue.submit(pushSpec('b'.repeat(40), { supersedeKey: 'main' }));
    await until(() => forge.taken.length === 3);
    expect(forge.taken.filter(({ commit }) => commit === sha).map(({ description }) => description)).toEqual([
      '#1 waits for approval',
      expect.stringMatching(/^#1 was canceled: superseded by build \w{26}$/),
    ]);
  });

  test('ended, when its commit is known only then', async () => {
    const { forge, begin, queue, consume, concluded } = await open();
    begin();
    const { source, ...spec } = pushSpec(sha);
    if (source.kind !== 'git') throw new Error('the source is git');
    const { sha: _, ...unknown } = source;
    consume({}, async (claim) =>
      verdict(claim, 'passed', { source: { repo: 'acme/tool', sha: 'c'.repeat(40) } }),
    );
    await queue.submit({ ...spec, source: unknown });
    await until(() => forge.taken.length === 1);
    await until(concluded);
    expect(forge.taken).toMatchObject([{ commit: 'c'.repeat(40), state: 'success' }]);
  });
});

test('builds that nobody asked to report, and repositories without a token, are left alone', async () => {
  const { forge, begin, queue, consume, concluded, reaches } = await open('gitlab', {
    keys: { webhookSecrets: [] },
  });
  begin();
  consume({}, async (claim) => verdict(claim));
  const { report: _, ...silent } = pushSpec(sha);
  for (const spec of [silent, pushSpec(sha), makeSpec({ report: 'commit-status' })]) {
    await queue.submit(spec);
    await reaches(spec.id, 'passed');
  }
  await until(concluded);
  expect(forge.requests).toEqual([]);
});

describe('whatever a forge does', () => {
  test.for<[string, Mood]>([
    ['answers 500', { status: 500 }],
    ['answers 429', { status: 429, headers: { 'retry-after': '0' } }],
    ['says nothing', 'silent'],
    ['breaks off', 'reset'],
    ['takes it and breaks off', 'lost'],
  ])('it is told again when it %s', async ([, mood]) => {
    const { forge, begin, queue, consume, concluded } = await open();
    let bad = 3;
    forge.mood = () => (bad-- > 0 ? mood : 'well');
    const { counts } = begin();
    consume({}, async (claim) => verdict(claim));
    await queue.submit(pushSpec(sha));
    await until(concluded);
    expect(forge.taken.at(-1)?.state).toBe('success');
    expect(counts.failed + counts.silent).toBe(3);
    // What got no answer may arrive late: the verdict is told once more.
    const verdicts = forge.taken.filter(({ state }) => state === 'success');
    if (counts.failed === 0) expect(verdicts.length).toBeGreaterThan(1);
    else expect(verdicts).toHaveLength(1);
  });

  test('it is not asked before the time that it says', async () => {
    const { forge, begin, queue, settled } = await open();
    const times: number[] = [];
    forge.mood = () => {
      times.push(performance.now());
      return times.length === 1 ? { status: 503, headers: { 'retry-after': '1' } } : 'well';
    };
    begin();
    await queue.submit(pushSpec(sha));
    // Another build of the same forge, and a change of the first one, wait as well.
    await until(() => times.length === 1);
    await queue.submit(pushSpec('b'.repeat(40)));
    await queue.submit(pushSpec(sha));
    await until(settled);
    expect(times).toHaveLength(3);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test('a redirect gets nothing, least of all the token', async () => {
    const { forge, begin, queue, settled } = await open();
    const other = await startForge('gitlab');
    forge.mood = () => ({
      status: 307,
      headers: { location: `${other.url}/projects/acme%2Ftool/statuses/${sha}` },
    });
    begin();
    await queue.submit(pushSpec(sha));
    await until(settled);
    expect(other.requests).toEqual([]);
    await other.close();
  });

  test('one that does not answer keeps nobody from telling another', async () => {
    const handle = await redis.connect();
    const [dead, alive] = [await startForge('gitea'), await startForge('gitea')];
    dead.mood = () => 'silent';
    const site = openSite(handle, 'gitea', alive, {
      pace: { ...quickPace, timeoutMs: 2_000, leaseMs: 5_000, failed: { firstMs: 60_000, mostMs: 60_000 } },
      apiUrlOf: (name: string) => (name === 'acme/dead' ? dead.url : alive.url),
    });
    for (let i = 0; i < 100; i++)
      await site.queue.submit(pushSpec(i.toString(16).padStart(40, '0'), {}, 'acme/dead'));
    for (let i = 0; i < 5; i++) await site.queue.submit(pushSpec(i.toString(16).padStart(40, '0')));
    site.begin();
    await until(() => alive.taken.length === 5);
    // One batch at most waited for it.
    expect(dead.requests.length).toBeLessThanOrEqual(16);
    await dead.close();
  });
});

describe('a forge that denies', () => {
  test.for([401, 403, 404, 422])(
    'with %i is given up after some tries, and the build says so',
    async (status) => {
      const { forge, begin, queue, logged, settled, concluded, get, consume } = await open();
      forge.mood = () => ({ status, body: '{"message":"it will not"}' });
      const { counts } = begin();
      const spec = pushSpec(sha);
      await queue.submit(spec);
      await until(settled);
      expect(counts).toMatchObject({ told: 0, denied: 2, refused: 1 });
      const why = `${forge.url} was not told that the build is queued: it answers ${status}: {"message":"it will not"}`;
      expect((await get(spec.id)).record.unreported).toBe(why);
      expect(logged.filter(({ level }) => level === 50)).toMatchObject([{ build: spec.id }]);

      // The next state is tried anew; now the token is right.
      forge.mood = () => 'well';
      consume({}, async (claim) => verdict(claim));
      await until(concluded);
      expect((await get(spec.id)).record).not.toHaveProperty('unreported');
    },
  );

  test('a verdict: the build says so also when it is in the archive', async () => {
    const { forge, begin, queue, concluded, get, records, reaches, consume } = await open();
    const spec = pushSpec(sha);
    await queue.submit(spec);
    consume({}, async (claim) => verdict(claim));
    await reaches(spec.id, 'passed');
    await records.archive(spec.id);
    forge.mood = () => ({ status: 404 });
    begin();
    await until(concluded);
    const why = `${forge.url} was not told that the build is passed: it answers 404`;
    expect((await get(spec.id)).record.unreported).toBe(why);
    expect((await records.list({}, { limit: 1 })).builds[0]?.unreported).toBe(why);
  });
});

describe('of two builds of one commit', () => {
  test('the newer one speaks, also when the older one ends after it', async () => {
    const { forge, begin, queue, consume, concluded } = await open('gitea');
    begin();
    const isRunning = () => forge.taken.at(-1)?.description.endsWith('is running') ?? false;
    const ends = new Map<string, AbortController>();
    consume({ slots: 2 }, async (claim) => {
      const end = new AbortController();
      ends.set(claim.spec.id, end);
      await aborted(end.signal);
      return verdict(claim, claim.spec.id === older.id ? 'failed' : 'passed');
    });
    const older = pushSpec(sha);
    await queue.submit(older);
    await until(() => isRunning());
    const newer = pushSpec(sha);
    await queue.submit(newer);
    await until(() => isRunning() && forge.taken.at(-1)?.url.includes(newer.id));
    ends.get(newer.id)?.abort();
    await until(() => forge.taken.at(-1)?.state === 'success');
    ends.get(older.id)?.abort();
    await until(concluded);
    expect(forge.taken.at(-1)).toMatchObject({ state: 'success', url: expect.stringContaining(newer.id) });
  });

  test('a retry begins anew after the verdict', async () => {
    const { forge, begin, queue, consume, reaches, concluded } = await open();
    begin();
    const outcomes: Status[] = ['failed', 'passed'];
    consume({}, async (claim) => verdict(claim, outcomes.shift()));
    const spec = pushSpec(sha);
    await queue.submit(spec);
    await reaches(spec.id, 'failed');
    await until(concluded);
    await queue.retry(spec.id, 'somebody');
    await until(concluded);
    expect(forge.taken.findLast(({ state }) => state === 'failed')?.url).toContain(spec.id);
  });

  test('they do not get in each other’s way when their contexts differ', async () => {
    const { forge, begin, queue, consume, concluded } = await open();
    begin();
    consume({ slots: 2 }, async (claim) => verdict(claim));
    await queue.submit(pushSpec(sha));
    await queue.submit(pushSpec(sha, { trigger: { kind: 'tag', tag: 'v1' } }));
    await until(concluded);
    const finals = forge.taken.filter(({ state }) => state === 'success').map(({ context }) => context);
    expect(finals.sort()).toEqual(['cofferdam/push', 'cofferdam/tag']);
  });
});

test('a build that goes back to the queue is not told of again as queued, even if nobody knows what the forge took', async () => {
  const { forge, begin, queue, consume, concluded } = await open('gitea');
  begin();
  forge.mood = () => 'lost';
  const running = () => forge.taken.filter(({ description }) => description === '#1 is running').length;
  const worker = consume({ id: 'one' }, async () => {
    await until(() => running() > 0);
    return { kind: 'requeue', reason: 'the worker is being stopped' };
  });
  await queue.submit(pushSpec(sha));
  await until(() => running() > 0);
  await worker.pause();
  await worker.drained();
  const told = forge.taken.length;
  forge.mood = () => 'well';
  // In the queue again, and everything told that is to be told of that.
  await until(async () => (await queue.stats()).reports === 0);
  expect(forge.taken.slice(told).filter(({ description }) => description === '#1 is queued')).toEqual([]);
  consume({ id: 'two' }, async (claim) => verdict(claim));
  await until(concluded);
  expect(forge.taken.at(-1)?.state).toBe('success');
});
