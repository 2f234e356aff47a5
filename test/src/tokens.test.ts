import { expect, test } from 'vitest';
import { newSecret, openTokens } from '../../src/tokens.ts';
import { useRedis } from '../redis.ts';

const redis = useRedis();

test('a secret is known by its token until that is revoked', async () => {
  const tokens = openTokens(await redis.connect());
  const { token, secret } = await tokens.create({ name: 'ci', scopes: ['read', 'submit'] });
  expect(secret).toMatch(/^cof_[A-Za-z0-9_-]{43}$/);
  expect(await tokens.verify(secret)).toEqual(token);
  expect(token).toMatchObject({ name: 'ci', scopes: ['read', 'submit'] });
  expect(await tokens.revoke(token.id)).toBe(true);
  expect(await tokens.verify(secret)).toBeUndefined();
  expect(await tokens.revoke(token.id)).toBe(false);
});

test.for(['', 'cof_', 'tokens', '__proto__', 'x'.repeat(100_000)])(
  'what is no token is nobody: %.20s',
  async (secret) => {
    const tokens = openTokens(await redis.connect());
    await tokens.create({ name: 'somebody', scopes: ['admin'] });
    expect(await tokens.verify(secret)).toBeUndefined();
  },
);

test('the secret itself is nowhere in Redis', async () => {
  const handle = await redis.connect();
  const { secret } = await openTokens(handle).create({ name: 'ci', scopes: ['admin'] });
  const kept = JSON.stringify(await handle.client.hgetall(`${handle.prefix}tokens`));
  expect(kept).toContain('ci');
  expect(kept).not.toContain(secret.slice(4));
});

test('lists are in the order of creation', async () => {
  const tokens = openTokens(await redis.connect());
  const names = ['a', 'b', 'c'];
  for (const name of names) {
    await tokens.create({ name, scopes: ['read'] });
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  expect((await tokens.list()).map(({ name }) => name)).toEqual(names);
});

test('a secret that was made before can be taken in, again and again', async () => {
  const tokens = openTokens(await redis.connect());
  const secret = newSecret();
  const first = await tokens.create({ name: 'up', scopes: ['admin'], secret });
  const again = await tokens.create({ name: 'up', scopes: ['admin'], secret });
  expect(again).toEqual(first);
  expect(await tokens.list()).toHaveLength(1);
});
