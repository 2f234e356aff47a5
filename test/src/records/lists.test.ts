import { describe, expect, test } from 'vitest';
import { encodeTime } from 'ulid';
import type { Status } from '../../../src/build.ts';
import type { BuildFilter } from '../../../src/records/indexes.ts';
import type { Records } from '../../../src/records.ts';
import type { BuildSpec } from '../../../src/spec.ts';
import { useRedis } from '../../redis.ts';
import { createRandom } from '../queue/random.ts';
import { openService, until, verdict } from '../queue/service.ts';
import { makeSpec } from '../queue/specs.ts';

const redis = useRedis();
const midnight = Date.parse('2026-01-01T00:00:00Z');

/** An id of the nth minute after midnight. */
const idAt = (n: number) => `${encodeTime(midnight + n * 60_000)}${String(n).padStart(16, '0')}`;
const timeAt = (n: number) => new Date(midnight + n * 60_000).toISOString();

async function pages(records: Records, filter: BuildFilter, limit: number): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < 500; page++) {
    const { builds, next } = await records.list(filter, { limit, ...(cursor !== undefined && { cursor }) });
    expect(builds.length).toBeLessThanOrEqual(limit);
    ids.push(...builds.map(({ id }) => id));
    if (next === undefined) return ids;
    cursor = next;
  }
  throw new Error('a list without an end');
}

describe('a list', () => {
  test('has the builds of its filter, newest first, each once, whatever the page', async () => {
    const { queue, records, consume } = openService(await redis.connect());
    const random = createRandom(7);
    const verdicts: Status[] = ['passed', 'failed', 'canceled', 'timed_out', 'errored'];
    // A project may be called like a piece of a key.
    const projects = ['a', 'a:a', 'passed:a', 'ä/ö'];
    const branches = ['main', 'a:main', 'feature/x'];
    const accepted = Array.from({ length: 120 }, (_, n) => {
      const project = random.pick(projects) ?? '';
      const source = { kind: 'upload', digest: 'd', bytes: 1, ref: random.pick(branches) ?? '' } as const;
      const waits = random.chance(0.2);
      const wanted = random.pick(verdicts) ?? 'passed';
      const spec = makeSpec({
        id: idAt(n),
        project,
        source,
        environment: { END: wanted },
        labels: waits ? { a: 'b' } : {},
      });
      return { spec, status: waits ? 'queued' : wanted };
    });
    await Promise.all(accepted.map(({ spec }) => queue.submit(spec)));
    consume({ slots: 8 }, async (claim) =>
      verdict(
        claim,
        verdicts.find((each) => each === claim.spec.environment['END']),
      ),
    );
    const waiting = accepted.filter(({ status }) => status === 'queued').length;
    await until(
      async () => (await records.list({ status: 'queued' }, { limit: 200 })).builds.length === waiting,
    );
    await until(async () => (await queue.stats()).running === 0);

    const branchOf = ({ source }: BuildSpec) => (source.kind === 'upload' ? source.ref : undefined);
    for (let i = 0; i < 80; i++) {
      const project = random.chance(0.7) ? random.pick(projects) : undefined;
      const branch = project !== undefined && random.chance(0.5) ? random.pick(branches) : undefined;
      const status = random.chance(0.5) ? random.pick<Status>([...verdicts, 'queued', 'running']) : undefined;
      const [after, before] = [random.below(120), random.below(120)];
      const filter: BuildFilter = {
        ...(project !== undefined && { project }),
        ...(branch !== undefined && { branch }),
        ...(status !== undefined && { status }),
        ...(random.chance(0.3) && { after: timeAt(after) }),
        ...(random.chance(0.3) && { before: timeAt(before) }),
      };
      const expected = accepted.filter(
        ({ spec, status: is }, n) =>
          (project === undefined || spec.project === project) &&
          (branch === undefined || branchOf(spec) === branch) &&
          (status === undefined || is === status) &&
          (filter.after === undefined || n >= after) &&
          (filter.before === undefined || n < before),
      );
      const ids = expected.map(({ spec }) => spec.id).toReversed();
      expect(await pages(records, filter, 1 + random.below(20)), JSON.stringify(filter)).toEqual(ids);
    }
  });

  test('goes on where it was although builds come and change', async () => {
    const { queue, records } = openService(await redis.connect());
    for (let n = 0; n < 6; n++) await queue.submit(makeSpec({ id: idAt(n) }));
    const first = await records.list({ status: 'queued' }, { limit: 3 });
    for (let n = 6; n < 9; n++) await queue.submit(makeSpec({ id: idAt(n) }));
    await queue.cancel(idAt(3));
    const second = await records.list({ status: 'queued' }, { limit: 3, cursor: first.next ?? '' });
    expect([...first.builds, ...second.builds].map(({ id }) => id)).toEqual([5, 4, 3, 2, 1, 0].map(idAt));
    expect(second.next).toBeUndefined();
  });

  test('looks at a bounded number of builds for a page, also when few fit', async () => {
    const { queue, records } = openService(await redis.connect());
    const source = { kind: 'upload', digest: 'd', bytes: 1, ref: 'main' } as const;
    for (let n = 0; n < 50; n++) await queue.submit(makeSpec({ id: idAt(n), source }));
    await queue.cancel(idAt(0));
    const filter = { project: 'library', branch: 'main', status: 'canceled' } as const;
    const page = await records.list(filter, { limit: 2 });
    expect(page.builds).toEqual([]);
    expect(page.next).toBeDefined();
    expect(await pages(records, filter, 2)).toEqual([idAt(0)]);
  });

  test.for<[string, BuildFilter, string | undefined]>([
    ['the cursor', {}, 'garbage'],
    ['the cursor', {}, Buffer.from(')').toString('base64url')],
    ["'yesterday' is not a time", { before: 'yesterday' }, undefined],
    ["'0000-01-01' is not a time", { after: '0000-01-01' }, undefined],
    ['a list by branch needs a project', { branch: 'main' }, undefined],
  ])('says what is wrong: %s', async ([message, filter, cursor]) => {
    const { records } = openService(await redis.connect());
    const page = { limit: 10, ...(cursor !== undefined && { cursor }) };
    await expect(records.list(filter, page)).rejects.toThrow(message);
    await expect(records.list(filter, page)).rejects.toMatchObject({ name: 'BuildFilterError' });
  });
});
