import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PublicBuild } from '../../../src/api/record.ts';
import { useRedis } from '../../redis.ts';
import { makeSpec } from '../queue/specs.ts';
import { startService, type TestService } from './service.ts';

const redis = useRedis();
let service: TestService;
beforeAll(async () => {
  service = await startService(await redis.connect());
});
afterAll(() => service.stop());

function ask(method: 'GET' | 'POST', url: string, scope: 'read' | 'submit' | 'admin') {
  return service.app.inject({ method, url, headers: { authorization: service.bearer[scope] } });
}
async function held(): Promise<string> {
  const { record } = await service.queue.submit(makeSpec({ hold: 'approval', trust: 'untrusted' }));
  return record.id;
}

test('a held build says what it waits for, and runs when an admin has approved it', async () => {
  const id = await held();
  const before = (await ask('GET', `/v1/builds/${id}`, 'read')).json<PublicBuild>();
  expect(before).toMatchObject({
    number: 1,
    trust: 'untrusted',
    waiting: `It waits for approval: cofferdam approve ${id}`,
  });
  for (let i = 0; i < 2; i++) {
    const answer = await ask('POST', `/v1/builds/${id}/approve`, 'admin');
    expect(answer.statusCode).toBe(200);
    expect(answer.json<PublicBuild>()).toMatchObject({ status: 'queued', approved: { by: 'admin' } });
  }
  const after = (await ask('GET', `/v1/builds/${id}`, 'read')).json<PublicBuild>();
  expect(after.waiting).toBe('No worker is there.');
});

test('nobody who may only submit approves', async () => {
  const id = await held();
  for (const scope of ['read', 'submit'] as const) {
    expect((await ask('POST', `/v1/builds/${id}/approve`, scope)).statusCode).toBe(403);
  }
  const build = (await ask('GET', `/v1/builds/${id}`, 'read')).json<PublicBuild>();
  expect(build).not.toHaveProperty('approved');
  expect(build.waiting).toContain('approval');
});

test('what does not wait for approval, has ended, or is not there is refused, and told apart', async () => {
  const { record } = await service.queue.submit(makeSpec());
  const canceled = await held();
  await service.queue.cancel(canceled);
  const answers = await Promise.all(
    [record.id, canceled, makeSpec().id].map((id) => ask('POST', `/v1/builds/${id}/approve`, 'admin')),
  );
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([409, 409, 404]);
  expect(answers.map((answer) => answer.json<{ detail: string }>().detail)).toEqual([
    `build ${record.id} does not wait for approval`,
    `build ${canceled} has ended; to build it after all, retry it and approve the new build`,
    expect.stringContaining('no build has the id'),
  ]);
});
