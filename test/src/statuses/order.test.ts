import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Status } from '../../../src/build.ts';
import { useRedis } from '../../redis.ts';
import { createRandom, type Random } from '../queue/random.ts';
import { aborted, until, verdict } from '../queue/service.ts';
import { type Mood, startForge } from './forge-server.ts';
import { openSite, pushSpec, quickPace } from './site.ts';

const redis = useRedis();
const moods: readonly Mood[] = [
  'well',
  'lost',
  'reset',
  'silent',
  { status: 500 },
  { status: 429, headers: { 'retry-after': '0' } },
  { status: 403, headers: { 'retry-after': '0' } },
];
const verdicts: readonly Status[] = ['passed', 'failed', 'errored', 'timed_out', 'canceled'];
const words = {
  passed: 'success',
  failed: 'failure',
  timed_out: 'failure',
  errored: 'error',
  canceled: 'error',
} as const;

/** How far a build is that the forge is told of in these words. */
function rankOf(description: string): number {
  if (description.endsWith('is queued')) return 0;
  return description.endsWith('is running') ? 1 : 2;
}

const commits = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(40));

/** What workers do: end builds, give them back, fail to run them; now and then slowly. */
function startWorkers(site: ReturnType<typeof openSite>, random: Random): void {
  const chance = Array.from(
    { length: 500 },
    () => [random.below(30), random.below(10), random.pick(verdicts)] as const,
  );
  for (const id of ['one', 'two']) {
    site.consume({ id, slots: 3 }, async (claim) => {
      const [ms, dice, status] = chance.pop() ?? [0, 9, 'passed' as const];
      await Promise.race([sleep(ms), aborted(claim.canceled)]);
      if (claim.canceled.aborted) return verdict(claim, 'canceled');
      if (dice === 0) return { kind: 'requeue', reason: 'the worker is being stopped' };
      const { record } = claim;
      if (dice === 1) return { kind: 'infrastructure', record, reason: 'sandbox', message: 'no loop device' };
      return verdict(claim, status);
    });
  }
}

test.for([1, 2, 3, 4])(
  'whatever builds and forge do, each commit ends with the verdict of its newest build, seed %i',
  async (seed) => {
    const random = createRandom(seed);
    const forge = await startForge('gitea');
    const pace = { ...quickPace, timeoutMs: 500, leaseMs: 5_000, failed: { firstMs: 5, mostMs: 20 } };
    const site = openSite(await redis.connect(), 'gitea', forge, { pace });
    const { queue, records } = site;
    let silences = 2;
    forge.mood = () => {
      const mood = random.chance(0.5) ? 'well' : (random.pick(moods) ?? 'well');
      return mood === 'silent' && silences-- <= 0 ? 'well' : mood;
    };
    const tellers = [site.begin(), site.begin()];
    startWorkers(site, random);
    /** By commit, in the order of acceptance. */
    const builds = new Map<string, string[]>(commits.map((commit) => [commit, []]));
    for (let i = 0; i < 40; i++) {
      const commit = random.pick(commits) ?? '';
      const [earlier] = builds.get(commit) ?? [];
      const again = earlier !== undefined && random.chance(0.2);
      const made = again
        ? await queue.retry(earlier, 'somebody').catch(() => undefined)
        : (await queue.submit(pushSpec(commit))).record;
      if (made) builds.get(commit)?.push(made.id);
      if (random.chance(0.2)) await queue.cancel(random.pick(builds.get(commit) ?? []) ?? '');
      if (random.chance(0.05))
        await tellers
          .shift()
          ?.close()
          .then(() => tellers.push(site.begin()));
      await sleep(random.below(10));
    }
    await until(site.concluded, 20_000);
    for (const [commit, ids] of builds) {
      const told = forge.taken.filter((each) => each.commit === commit);
      // Where in the order of builds, and how far the build was.
      const steps = told.map(({ url, description }) => {
        const id = /builds\/(\w+)/.exec(url)?.[1] ?? '';
        return ids.indexOf(id) * 10 + rankOf(description);
      });
      expect(steps).toEqual([...steps].sort((a, b) => a - b));
      const status = (await records.get(ids.at(-1) ?? ''))?.status ?? 'queued';
      const word = status === 'queued' || status === 'running' ? status : words[status];
      expect(told.at(-1)).toMatchObject({ state: word, url: expect.stringContaining(ids.at(-1) ?? '') });
    }
  },
);
