import { ulid } from 'ulid';
import { expect, test } from 'vitest';
import { openDeliveries, type Outcome } from '../../src/deliveries.ts';
import { useRedis } from '../redis.ts';

const redis = useRedis();

const built: Outcome = { kind: 'read', builds: ['one'], ignored: [] };
const deliveryOf = (repository: string) => ({
  id: ulid(),
  repository,
  forge: 'github' as const,
  receivedAt: new Date().toISOString(),
  headers: { 'x-github-event': 'push' },
});

test('of a repository the newest 200 stay, and all that nobody has handled', async () => {
  const deliveries = openDeliveries(await redis.connect());
  const ids: string[] = [];
  for (let i = 0; i < 205; i++) {
    const delivery = { ...deliveryOf('a'), id: ulid(i + 1) };
    ids.push(delivery.id);
    await deliveries.keep(delivery, Buffer.from(`${i}`), `${i}`);
  }
  const other = deliveryOf('b');
  await deliveries.keep(other, Buffer.from('b'), 'b');
  expect(await deliveries.list({ repository: 'a', limit: 1000 })).toHaveLength(205);
  for (const id of ids.slice(1)) await deliveries.settle(id, built);

  const left = (await deliveries.list({ repository: 'A', limit: 1000 })).map(({ id }) => id);
  expect(left).toEqual([...ids.slice(5).toReversed(), ids[0]]);
  expect(await deliveries.body(ids[1] ?? '')).toBeUndefined();
  expect((await deliveries.list({ limit: 1000 })).map(({ id }) => id)).toEqual([other.id, ...left]);
});

test('what was thrown away is still known, with what came of it', async () => {
  const handle = await redis.connect();
  const deliveries = openDeliveries(handle);
  const first = deliveryOf('a');
  await deliveries.keep(first, Buffer.from('x'), 'key');
  await deliveries.settle(first.id, built);
  await handle.client.del(`${handle.prefix}hook:d:${first.id}`);
  expect(await deliveries.keep(deliveryOf('a'), Buffer.from('x'), 'key')).toEqual({
    id: first.id,
    isNew: false,
    outcome: built,
  });
});

test('the first outcome stays', async () => {
  const deliveries = openDeliveries(await redis.connect());
  const delivery = deliveryOf('a');
  await deliveries.keep(delivery, Buffer.from('x'), 'key');
  expect(await deliveries.settle(delivery.id, built)).toEqual(built);
  expect(await deliveries.settle(delivery.id, { kind: 'malformed', message: 'no' })).toEqual(built);
  expect((await deliveries.get(delivery.id))?.outcome).toEqual(built);
});

test('everything ends by itself: bodies after seven days, ids after one', async () => {
  const handle = await redis.connect();
  const deliveries = openDeliveries(handle);
  const delivery = deliveryOf('a');
  await deliveries.keep(delivery, Buffer.from('x'), 'key');
  await deliveries.settle(delivery.id, built);
  const { client, prefix } = handle;
  const day = 86_400;
  const lives = async (pattern: string) =>
    Promise.all((await client.keys(prefix + pattern)).map((key) => client.ttl(key)));
  for (const pattern of ['hook:d:*', 'hook:of:*']) {
    expect((await lives(pattern)).every((seconds) => seconds > 7 * day - 60 && seconds <= 7 * day)).toBe(
      true,
    );
  }
  expect((await lives('hook:key:*')).every((seconds) => seconds > day - 60 && seconds <= day)).toBe(true);
});

test('bodies are kept as they are', async () => {
  const deliveries = openDeliveries(await redis.connect());
  for (const body of [Buffer.alloc(0), Buffer.from([0, 255, 13, 10]), Buffer.alloc(1024 ** 2, '{"a":1}')]) {
    const delivery = deliveryOf('a');
    await deliveries.keep(delivery, body, delivery.id);
    expect((await deliveries.body(delivery.id))?.equals(body)).toBe(true);
    expect((await deliveries.get(delivery.id))?.bytes).toBe(body.length);
  }
});

test('what is due is told to one process at a time', async () => {
  const handle = await redis.connect();
  const [one, two] = [openDeliveries(handle), openDeliveries(handle)];
  const delivery = deliveryOf('a');
  await one.keep(delivery, Buffer.from('x'), 'key');
  expect(await one.due(60_000)).toEqual([]);
  await handle.client.zadd(`${handle.prefix}hook:pending`, 1, delivery.id, 1, 'gone');
  const told = await Promise.all([one.due(60_000), two.due(60_000)]);
  expect(told.flat()).toEqual([delivery.id]);
  expect(await handle.client.zcard(`${handle.prefix}hook:pending`)).toBe(1);
});
