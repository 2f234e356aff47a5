import { afterAll, beforeAll, expect, test } from 'vitest';
import { useRedis } from '../../redis.ts';
import { makeSpec } from '../queue/specs.ts';
import { startService, type TestService } from './service.ts';
import { startWorker, until } from './worker.ts';

const redis = useRedis();
let service: TestService;
beforeAll(async () => {
  service = await startService(await redis.connect());
});
afterAll(() => service.stop());

const ask = (method: 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) =>
  service.app.inject({
    method,
    url,
    headers: { authorization: service.bearer.admin },
    ...(payload && { payload }),
  });

test("a repository's own cap holds as long as it has it", async () => {
  const stop = new AbortController();
  const worker = startWorker(service, async () => {
    await new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
    return { status: 'passed' };
  });
  const running = async () => (await service.queue.stats()).running;
  const reaches = (builds: number) =>
    until(async () => {
      await service.queue.tick();
      return (await running()) === builds;
    });
  const url = 'https://forge.example/acme/tool.git';
  const added = await ask('POST', '/v1/repos', { name: 'acme/tool', url, forge: 'gitea', concurrency: 1 });
  expect(added.statusCode).toBe(201);
  const specs = Array.from({ length: 4 }, () => makeSpec({ project: 'acme/tool' }));
  for (const spec of specs) await service.queue.submit(spec);
  await reaches(1);
  expect(await service.queue.why(specs[1]?.id ?? '')).toContain('runs 1 of at most 1 build');
  await ask('PATCH', '/v1/repos/acme/tool', { concurrency: 2 });
  await reaches(2);
  // Names are the same whatever their case; the project of the builds is as it was given.
  await ask('DELETE', '/v1/repos/ACME/tool');
  await reaches(4);
  stop.abort();
  await worker.close();
});
