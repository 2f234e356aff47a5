import { createHash } from 'node:crypto';
import { Agent, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openHooks } from '../../../src/hooks.ts';
import type { Message } from '../../../src/triggers/forge.ts';
import { useRedis } from '../../redis.ts';
import { b, makeRepository, signed } from '../triggers/samples.ts';
import { push, type Receipt, senderTo } from './hook-sender.ts';
import { startService, type TestService } from './service.ts';

const redis = useRedis();
let service: TestService;
beforeAll(async () => {
  service = await startService(await redis.connect());
  await service.repositories.add(makeRepository(), { webhookSecrets: ['new-secret'] });
  await service.repositories.add(makeRepository({ name: 'other' }), { webhookSecrets: ['other-secret'] });
  await service.repositories.add(makeRepository({ name: 'lab', forge: 'gitlab' }), {
    webhookSecrets: ['secret of gitlab'],
  });
});
afterAll(() => service.stop());

const { send, ask } = senderTo(() => service);

const countBuilds = async () => (await service.records.list({}, { limit: 10_000 })).builds.length;

describe('the same delivery', () => {
  test('a hundred times at once makes one build, and every answer names it', async () => {
    const before = await countBuilds();
    const message = push();
    const responses = await Promise.all(Array.from({ length: 100 }, () => send(message)));
    expect(new Set(responses.map(({ statusCode }) => statusCode))).toEqual(new Set([202]));
    expect(new Set(responses.map(({ body }) => body)).size).toBe(1);
    expect(responses.filter(({ headers }) => headers['idempotent-replayed'] === undefined)).toHaveLength(1);
    expect(await countBuilds()).toBe(before + 1);
  });

  test('later is answered as the first time', async () => {
    const message = push();
    const [first, again] = [await send(message), await send(message)];
    expect(again.json()).toEqual(first.json());
    expect(again.headers['idempotent-replayed']).toBe('true');
  });

  test('with another id is another one', async () => {
    const answers = [await send(push()), await send(push())].map((each) => each.json<Receipt>().builds[0]);
    expect(new Set(answers).size).toBe(2);
  });

  test('for another repository is another one', async () => {
    const here = await send(push('new-secret', {}, 'shared'));
    const there = await send(push('other-secret', {}, 'shared'), 'github/other');
    expect(there.json<Receipt>().builds).not.toEqual(here.json<Receipt>().builds);
    expect(there.json<Receipt>().builds).toHaveLength(1);
  });
});

describe('a process that dies', () => {
  const dying = (what: 'submit' | 'settle') =>
    openHooks({
      repositories: service.repositories,
      deliveries: {
        ...service.deliveries,
        ...(what === 'settle' && { settle: () => Promise.reject(new Error('killed')) }),
      },
      queue: what === 'submit' ? { submit: () => Promise.reject(new Error('killed')) } : service.queue,
      onTrouble: () => {},
    });
  const healer = () =>
    openHooks({
      repositories: service.repositories,
      deliveries: service.deliveries,
      queue: service.queue,
      onTrouble: (error) => expect.unreachable(String(error)),
      patienceMs: 0,
    });

  test.each(['submit', 'settle'] as const)('at %s loses nothing and doubles nothing', async (moment) => {
    const before = await countBuilds();
    await expect(dying(moment).receive('github', 'octo/hello', push())).rejects.toThrow('killed');
    const [pending] = await service.deliveries.list({ repository: 'octo/hello', limit: 1 });
    expect(pending).not.toHaveProperty('outcome');
    expect(await countBuilds()).toBe(before + (moment === 'settle' ? 1 : 0));
    await healer().tick();
    await healer().tick();
    const healed = await service.deliveries.get(pending?.id ?? '');
    expect(healed?.outcome).toMatchObject({ kind: 'read', builds: [expect.any(String)] });
    expect(await countBuilds()).toBe(before + 1);
  });

  test('is made up for by the forge that sends it again', async () => {
    const message = push();
    await expect(dying('submit').receive('github', 'octo/hello', message)).rejects.toThrow('killed');
    expect((await send(message)).json<Receipt>().builds).toHaveLength(1);
  });

  test('leaves alone what another one is handling', async () => {
    await expect(dying('submit').receive('github', 'octo/hello', push())).rejects.toThrow('killed');
    const before = await countBuilds();
    await service.hooks.tick();
    expect(await countBuilds()).toBe(before);
    await healer().tick();
    expect(await countBuilds()).toBe(before + 1);
  });

  test('and a repository that is removed meanwhile end in a reason', async () => {
    await service.repositories.add(makeRepository({ name: 'gone' }), { webhookSecrets: ['s'] });
    await expect(dying('submit').receive('github', 'gone', push('s'))).rejects.toThrow('killed');
    await service.repositories.remove('gone');
    await healer().tick();
    const [delivery] = await service.deliveries.list({ repository: 'gone', limit: 1 });
    expect(delivery?.outcome).toMatchObject({ ignored: ['there is no repository gone of github any more'] });
  });
});

describe('deliveries', () => {
  test('are listed, shown and given out as they came', async () => {
    const message = push();
    const { delivery, builds } = (await send(message)).json<Receipt>();
    const { deliveries } = (await ask('GET', '/v1/deliveries?repository=Octo/hello&limit=1')).json<{
      deliveries: object[];
    }>();
    expect(deliveries).toEqual([
      {
        id: delivery,
        repository: 'octo/hello',
        forge: 'github',
        event: 'push',
        receivedAt: expect.any(String),
        bytes: message.body.length,
        status: 'read',
        builds,
        ignored: [],
      },
    ]);
    expect((await ask('GET', `/v1/deliveries/${delivery}`)).json()).toEqual(deliveries[0]);
    expect((await ask('GET', `/v1/deliveries/${delivery}/body`)).rawPayload).toEqual(message.body);
    expect((await ask('GET', '/v1/deliveries/none')).statusCode).toBe(404);
    expect((await ask('GET', '/v1/deliveries/none/body')).statusCode).toBe(404);
  });

  test('are built again on purpose, without canceling what is newer', async () => {
    const { delivery, builds } = (await send(push())).json<Receipt>();
    const response = await ask('POST', `/v1/deliveries/${delivery}/replay`);
    expect(response.statusCode).toBe(202);
    const again = response.json<Receipt>();
    expect(again.delivery).toBe(delivery);
    expect(again.builds).toHaveLength(1);
    expect(again.builds).not.toEqual(builds);
    const [first, second] = await Promise.all(
      [builds[0], again.builds[0]].map((id) => service.records.get(id ?? '')),
    );
    expect(second?.spec).toEqual({ ...first?.spec, id: again.builds[0], supersedeKey: undefined });
    expect(first?.spec.supersedeKey).toBe('push:main');
    expect((await ask('POST', '/v1/deliveries/none/replay')).statusCode).toBe(404);
  });

  test('hold no secret', async () => {
    const payload = { ref: 'refs/heads/main', after: b, project: { path_with_namespace: 'octo/hello' } };
    await send(signed('gitlab', payload, 'secret of gitlab', { event: 'Push Hook' }), 'gitlab/lab');
    const { client, prefix } = service.redis;
    const keys = await client.keys(`${prefix}hook:d:*`);
    const texts = await Promise.all(keys.map((key) => client.hget(key, 'about')));
    expect(texts.length).toBeGreaterThan(0);
    expect(texts.join('\n')).not.toContain('secret');
  });

  test.each([
    'GET /v1/deliveries',
    'GET /v1/deliveries/x',
    'GET /v1/deliveries/x/body',
    'POST /v1/deliveries/x/replay',
  ])('%s is for administrators', async (route) => {
    const [method = '', url = ''] = route.split(' ');
    const headers = { authorization: service.bearer.submit };
    const response = await service.app.inject({ method: method === 'GET' ? 'GET' : 'POST', url, headers });
    expect(response.statusCode).toBe(403);
  });
});

test('a burst of 2,000 deliveries, some sent twice, makes 2,000 builds', async () => {
  const own = await startService(await redis.connect());
  const agent = new Agent({ keepAlive: true, maxSockets: 50 });
  try {
    await own.repositories.add(makeRepository(), { webhookSecrets: ['s'] });
    const url = `${await own.listen()}/v1/hooks/github/octo/hello`;
    const post = ({ headers, body }: Message) =>
      new Promise<number>((resolve, reject) => {
        const sent = request(url, { agent, method: 'POST', headers }, (response) => {
          response.resume().once('end', () => resolve(response.statusCode ?? 0));
        });
        sent.once('error', reject);
        sent.end(body);
      });
    const branches = Array.from({ length: 2000 }, (_, i) => `refs/heads/b${i}`);
    const messages = branches.map((ref) => push('s', { ref }, createHash('sha1').update(ref).digest('hex')));
    const statuses = await Promise.all([...messages, ...messages.slice(0, 200)].map(post));
    expect(new Set(statuses)).toEqual(new Set([202]));
    const { builds } = await own.records.list({}, { limit: 10_000 });
    const built = builds.map(({ source }) => source.ref);
    expect(built.length).toBe(2000);
    expect(new Set(built).size).toBe(2000);
  } finally {
    agent.destroy();
    await own.stop();
  }
}, 120_000);
