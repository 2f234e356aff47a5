import type { Redis } from 'ioredis';

/** All that a Redis has, as text: keys, fields and values. */
export async function textsIn(client: Redis): Promise<string> {
  const texts: unknown[] = [];
  for (const key of await client.keys('*')) {
    const type = await client.type(key);
    texts.push(key, await (readers[type] ?? unread)(client, key));
  }
  return JSON.stringify(texts);
}

const readers: Readonly<Record<string, (client: Redis, key: string) => Promise<unknown>>> = {
  string: (client, key) => client.get(key),
  hash: (client, key) => client.hgetall(key),
  set: (client, key) => client.smembers(key),
  zset: (client, key) => client.zrange(key, '0', '-1', 'WITHSCORES'),
  list: (client, key) => client.lrange(key, 0, -1),
  stream: (client, key) => client.xrange(key, '-', '+'),
};

function unread(_client: Redis, key: string): never {
  throw new Error(`${key} is of a type that is not looked at`);
}
