import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { redisReach } from '../../../src/api/availability.ts';
import { startRedis, type TestRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';
import { until } from './worker.ts';

let redis: TestRedis;
let service: TestService;
beforeEach(async () => {
  redis = await startRedis(['--appendonly', 'yes']);
  service = await startService(await redis.connect());
});
afterEach(async () => {
  await service.stop();
  await redis.stop();
});

const payload = {
  project: 'p',
  source: { kind: 'none' },
  workflow: 'image: a\nsteps: [{ name: s, commands: [x] }]',
};
const id = '01JDCK0000000000000000000A';

/** Every route that needs Redis. */
const requests = [
  ['POST', '/v1/builds', payload],
  ['GET', '/v1/builds', undefined],
  ['GET', `/v1/builds/${id}`, undefined],
  ['GET', `/v1/builds/${id}/logs`, undefined],
  ['GET', `/v1/builds/${id}/artifacts`, undefined],
  ['POST', `/v1/builds/${id}/cancel`, undefined],
  ['POST', `/v1/builds/${id}/retry`, undefined],
  ['GET', '/v1/workers', undefined],
  ['GET', '/v1/queue', undefined],
  ['GET', '/v1/tokens', undefined],
  ['GET', '/v1/repos', undefined],
  ['GET', '/v1/repos/acme/app', undefined],
  ['POST', '/v1/repos', { url: 'https://example.org/a', forge: 'generic' }],
  ['PATCH', '/v1/repos/acme/app', { concurrency: 1 }],
  ['DELETE', '/v1/repos/acme/app', undefined],
  ['POST', '/v1/repos/acme/app/webhook-secret', { step: 'begin' }],
  ['GET', '/v1/secrets', undefined],
  ['PUT', '/v1/secrets/organization/acme/A', { value: 'very secret' }],
  ['DELETE', '/v1/secrets/organization/acme/A', undefined],
  ['GET', '/readyz', undefined],
] as const;

async function askAll(): Promise<[string, number, boolean][]> {
  return Promise.all(
    requests.map(async ([method, url, body]) => {
      const began = performance.now();
      const headers = { authorization: service.bearer.admin };
      const response = await service.app.inject({ method, url, headers, ...(body && { payload: body }) });
      return [`${method} ${url}`, response.statusCode, performance.now() - began < 1000];
    }),
  );
}

const allRefusedFast = requests.map(([method, url]) => [`${method} ${url}`, 503, true]);

/** The server's process, by its own word. */
async function pidOf(): Promise<number> {
  return Number(/process_id:(\d+)/.exec(await service.redis.client.info('server'))?.[1]);
}

describe('while Redis', () => {
  test('is gone, everything that needs it answers 503 fast, and all is well when it is back', async () => {
    await redis.kill();
    expect(await askAll()).toEqual(allRefusedFast);
    const refused = await service.app.inject({
      method: 'POST',
      url: '/v1/builds',
      headers: { authorization: service.bearer.submit },
      payload,
    });
    expect(refused.headers['retry-after']).toBe('2');
    expect(refused.json()).toMatchObject({ status: 503 });
    const url = '/healthz';
    expect((await service.app.inject({ url })).statusCode).toBe(200);
    const metrics = await service.app.inject({ url: '/metrics' });
    expect([metrics.statusCode, metrics.body]).toEqual([
      200,
      expect.stringContaining('\ncofferdam_redis_up 0\n'),
    ]);

    await redis.restart();
    await until(async () => (await service.app.inject({ url: '/readyz' })).statusCode === 200);
  });

  test('is gone, what was refused is not done after all when it is back', async () => {
    const { client } = service.redis;
    const reach = redisReach(service.redis, 200);
    await redis.kill();
    await until(async () => client.status !== 'ready');
    await expect(reach(() => client.incr('attempts'))).rejects.toMatchObject({ statusCode: 503 });
    await redis.restart();
    await until(async () => client.status === 'ready');
    expect(await reach(() => client.get('attempts'))).toBeNull();
  });

  test('hangs, everything that needs it answers 503 within a second', async () => {
    const pid = await pidOf();
    process.kill(pid, 'SIGSTOP');
    try {
      expect(await askAll()).toEqual(allRefusedFast);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until(async () => (await service.app.inject({ url: '/readyz' })).statusCode === 200);
  });

  test('answers, nothing is refused however long this process is busy in between', async () => {
    const { client } = service.redis;
    const reach = redisReach(service.redis, 90);
    const spin = () => {
      for (const end = performance.now() + 60; performance.now() < end; );
      if (busy === 'yes') setImmediate(spin);
    };
    let busy: 'yes' | 'no' = 'yes';
    spin();
    try {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () =>
          reach(async () => {
            for (let n = 0; n < 8; n++) await client.ping();
            return 'answered';
          }),
        ),
      );
      expect(new Set(answers)).toEqual(new Set(['answered']));
    } finally {
      busy = 'no';
    }
  });

  test('hangs, it is not asked anything more until it answers again', async () => {
    const { client } = service.redis;
    const reach = redisReach(service.redis, 90);
    const pid = await pidOf();
    process.kill(pid, 'SIGSTOP');
    try {
      await expect(reach(() => client.incr('before'))).rejects.toMatchObject({ statusCode: 503 });
      await expect(reach(() => client.incr('meanwhile'))).rejects.toMatchObject({ statusCode: 503 });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until(() =>
      reach(() => client.ping()).then(
        () => true,
        () => false,
      ),
    );
    expect(await reach(() => client.mget('before', 'meanwhile'))).toEqual(['1', null]);
  });

  test('answers, what waits for something else is not refused', async () => {
    const reach = redisReach(service.redis, 45);
    expect(await reach(() => sleep(200, 'read from storage'))).toBe('read from storage');
  });

  test('is full, a submit is refused and lists are shown', async () => {
    await service.redis.client.config('SET', 'maxmemory', '1');
    const headers = { authorization: service.bearer.admin };
    const submit = await service.app.inject({ method: 'POST', url: '/v1/builds', headers, payload });
    expect(submit.statusCode).toBe(503);
    await service.redis.client.config('SET', 'maxmemory', '0');
    expect((await service.app.inject({ url: '/v1/builds', headers })).json()).toEqual({ builds: [] });
  });

  test('was emptied, nothing is accepted on top of the loss, and the log says so', async () => {
    const headers = { authorization: service.bearer.admin };
    await service.app.inject({ method: 'POST', url: '/v1/builds', headers, payload });
    const tokens = await service.redis.client.dumpBuffer(`${service.redis.prefix}tokens`);
    await service.redis.client.flushall();
    expect((await service.app.inject({ url: '/v1/builds', headers })).statusCode).toBe(401);
    await service.redis.client.restore(`${service.redis.prefix}tokens`, 0, tokens);
    const response = await service.app.inject({ method: 'POST', url: '/v1/builds', headers, payload });
    expect(response.statusCode).toBe(503);
    await sleep(10);
    expect(service.logged.join('')).toContain('FLUSHALL');
  });
});
