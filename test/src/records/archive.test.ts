import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { BuildRecord } from '../../../src/build.ts';
import { openQueue } from '../../../src/queue.ts';
import { openRecords } from '../../../src/records.ts';
import { useRedis } from '../../redis.ts';
import { openService, until, verdict } from '../queue/service.ts';
import { makeSpec } from '../queue/specs.ts';

const redis = useRedis();
const open = async () => {
  const handle = await redis.connect();
  return Object.assign(openService(handle), { handle });
};

const manyArtifacts = Array.from({ length: 200 }, (_, i) => ({
  path: `dist/${i}`,
  size: i,
  sha256: 'e'.repeat(64),
}));
const manySteps: BuildRecord['workflows'] = [
  { name: 'cofferdam', status: 'passed', steps: [{ name: 'make', status: 'passed', exitCode: 0 }] },
];

describe('an ended build', () => {
  test.for([
    ['short', []],
    ['long', manyArtifacts],
  ] as const)('is the same in Redis, in storage and afterwards: %s', async ([, artifacts]) => {
    const { handle, queue, consume, records, directory } = await open();
    const workflow = artifacts.length > 0 ? `# ${'x'.repeat(2000)}` : 'steps: []';
    const spec = makeSpec({ workflow, labels: {}, group: 'g' });
    consume({}, async (claim) => verdict(claim, 'passed', { artifacts, workflows: manySteps }));
    await queue.submit(spec);
    await until(
      async () =>
        (await handle.client.hget(`${handle.prefix}b:${spec.id}`, 'at')) ===
        (artifacts.length > 0 ? 'cut' : 'archived'),
    );
    const stored = await records.get(spec.id);
    expect(stored).toMatchObject({ spec, status: 'passed', attempt: 1 });
    expect(stored?.record).toMatchObject({ artifacts, workflows: manySteps, project: 'library', group: 'g' });
    const file = await readFile(join(directory, 'builds', spec.id, 'record.json'), 'utf8');
    expect(JSON.parse(file)).toEqual({ ...stored?.record, spec });
    const { builds } = await records.list({}, { limit: 1 });
    expect(builds[0]?.status).toBe('passed');
  });

  test('is archived by somebody else when its own process did not', async () => {
    const { handle, queue, records } = await open();
    const spec = makeSpec();
    // As if the process died after the script.
    vi.spyOn(records, 'archive').mockRejectedValueOnce(new Error('the store is away'));
    await queue.submit(spec);
    await queue.cancel(spec.id);
    await until(async () => (await handle.client.zcard(`${handle.prefix}unarchived`)) === 0);
    expect((await records.get(spec.id))?.record).toMatchObject({ status: 'canceled', reason: 'canceled' });
  });

  test('takes little room in Redis', async () => {
    const { handle, queue, records } = await open();
    const spec = makeSpec();
    await queue.submit(spec);
    await queue.cancel(spec.id);
    await records.archive(spec.id);
    const fields = await handle.client.hkeys(`${handle.prefix}b:${spec.id}`);
    expect(fields.sort()).toEqual(['at', 'attempt', 'record', 'spec', 'status']);
  });
});

test('archiving leaves a build alone that has not ended', async () => {
  const { queue, records, storage } = await open();
  const spec = makeSpec();
  await queue.submit(spec);
  await records.archive(spec.id);
  expect((await records.get(spec.id))?.status).toBe('queued');
  expect(await storage.head(`builds/${spec.id}/record.json`)).toBeUndefined();
});

test('the lists of a Redis that lost everything come back from storage', async () => {
  const { queue, consume, records, storage, reaches } = await open();
  consume({}, async (claim) => verdict(claim, 'failed', { artifacts: manyArtifacts }));
  const source = { kind: 'upload', digest: 'd', bytes: 1, ref: 'main' } as const;
  const specs = Array.from({ length: 5 }, (_, i) => makeSpec({ project: `p${i % 2}`, source }));
  for (const spec of specs) {
    await queue.submit(spec);
    await reaches(spec.id, 'failed');
  }
  await until(async () =>
    (await Promise.all(specs.map(({ id }) => storage.head(`builds/${id}/record.json`)))).every(Boolean),
  );
  const handle = await redis.connect();
  const fresh = openRecords(handle, storage);
  expect(await fresh.rebuild()).toBe(5);
  expect(await fresh.rebuild()).toBe(0);
  const numbers = new Map((await fresh.list({}, { limit: 10 })).builds.map(({ id, number }) => [id, number]));
  for (const filter of [
    {},
    { status: 'failed' },
    { project: 'p1' },
    { project: 'p0', branch: 'main' },
  ] as const) {
    expect(await fresh.list(filter, { limit: 10 })).toEqual(await records.list(filter, { limit: 10 }));
  }
  for (const { id } of specs) expect(await fresh.get(id)).toEqual(await records.get(id));
  expect(specs.map(({ id }) => numbers.get(id))).toEqual([1, 1, 2, 2, 3]);
  const next = await openQueue(handle, fresh).submit(makeSpec({ project: 'p0' }));
  expect(next.record.number).toBe(4);
});

test('an archive that has specs beside the records is read as well', async () => {
  const { queue, consume, records, storage, directory, reaches } = await open();
  consume({}, async (claim) => verdict(claim, 'passed', { artifacts: manyArtifacts }));
  const spec = makeSpec({ workflow: `# ${'x'.repeat(2000)}` });
  await queue.submit(spec);
  await reaches(spec.id, 'passed');
  const file = join(directory, 'builds', spec.id, 'record.json');
  await until(async () => (await storage.head(`builds/${spec.id}/record.json`)) !== undefined);
  const { spec: asked, ...record } = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify(record));
  await writeFile(join(directory, 'builds', spec.id, 'spec.json'), JSON.stringify(asked));
  const fresh = openRecords(await redis.connect(), storage);
  expect(await fresh.rebuild()).toBe(1);
  expect(await fresh.get(spec.id)).toEqual({ spec, record, status: 'passed', attempt: 1 });
  expect(await records.get(spec.id)).toEqual({ spec, record, status: 'passed', attempt: 1 });
});
