import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RedisHandle } from '../../src/redis.ts';
import type { Repositories } from '../../src/repositories.ts';
import { newRepository } from '../../src/repositories/change.ts';
import type { Secrets } from '../../src/secrets.ts';
import { VaultError } from '../../src/vault/error.ts';
import { useRedis } from '../redis.ts';
import { type Directory, temporaryDirectory } from '../workers/directory.ts';
import { openSettled } from './settled.ts';

const redis = useRedis();
let directory: Directory;
let handle: RedisHandle;
let repositories: Repositories;
let secrets: Secrets;
beforeEach(async () => {
  directory = temporaryDirectory();
  handle = await redis.connect();
  ({ repositories, secrets } = await openSettled(handle, directory.path));
});
afterEach(() => directory[Symbol.dispose]());

const made = (name: string) =>
  newRepository({ name, forge: 'gitea', url: `https://git.example.org/${name}` });
const keys = { webhookSecrets: ['webhook secret'], forgeToken: 'forge token' };

test('a repository is added, found and listed by its name, whatever its case', async () => {
  const app = made('Acme/App');
  expect(await repositories.add(app, keys)).toBe(true);
  expect(await repositories.add(made('acme/app'), keys)).toBe(false);
  expect(await repositories.add(made('acme/app2'), keys)).toBe(true);
  for (const name of ['Acme/App', 'acme/app', 'ACME/APP']) {
    expect(await repositories.get(name)).toEqual(app);
    expect(await repositories.keys(name)).toEqual(keys);
  }
  expect((await repositories.list()).map(({ name }) => name)).toEqual(['Acme/App', 'acme/app2']);
  expect(JSON.stringify(await repositories.list())).not.toContain('token');
  for (const name of ['acme', 'acme/app/', '', '__proto__']) {
    expect(await repositories.get(name)).toBeUndefined();
    expect(await repositories.keys(name)).toBeUndefined();
  }
});

test('a change of the one leaves the other, and each of many at once counts', async () => {
  await repositories.add(made('acme/app'), keys);
  const changed = await repositories.change('ACME/app', (old) => ({
    repository: { ...old, defaultBranch: 'trunk' },
  }));
  expect(changed).toMatchObject({ name: 'acme/app', defaultBranch: 'trunk' });
  expect(await repositories.keys('acme/app')).toEqual(keys);
  await Promise.all(
    Array.from({ length: 5 }, (_, i) =>
      repositories.change('acme/app', (repository, old) => ({
        repository: { ...repository, concurrency: (repository.concurrency ?? 0) + 1 },
        keys: { ...old(), webhookSecrets: [...old().webhookSecrets, `${i}`] },
      })),
    ),
  );
  expect(await repositories.get('acme/app')).toMatchObject({ defaultBranch: 'trunk', concurrency: 5 });
  expect((await repositories.keys('acme/app'))?.webhookSecrets).toHaveLength(6);
  expect(await repositories.change('none', (old) => ({ repository: old }))).toBeUndefined();
});

test('a removed one is gone with its secrets; those of others and of its organization stay', async () => {
  await repositories.add(made('acme/app'), keys);
  await repositories.add(made('acme/app2'), keys);
  const scopes = [
    { kind: 'repository', name: 'acme/app' },
    { kind: 'repository', name: 'acme/app2' },
    { kind: 'organization', name: 'acme' },
  ] as const;
  for (const scope of scopes) await secrets.set({ name: 'TOKEN', scope, triggers: [] }, 'very secret');
  expect(await repositories.remove('Acme/App')).toBe(true);
  expect(await repositories.remove('Acme/App')).toBe(false);
  expect(await repositories.get('acme/app')).toBeUndefined();
  expect((await secrets.list()).map(({ scope }) => scope)).toEqual([scopes[2], scopes[1]]);
});

test('the keys of one repository do not open as those of another', async () => {
  await repositories.add(made('victim'), keys);
  await repositories.add(made('thief'), { webhookSecrets: ['mine'] });
  const { client, prefix } = handle;
  const [victim, thief] = await client.hmget(`${prefix}set:repositories`, 'victim', 'thief');
  const sealed = /"sealed":"[^"]*"/;
  const swapped = (thief ?? '').replace(sealed, sealed.exec(victim ?? '')?.[0] ?? '');
  await client.hset(`${prefix}set:repositories`, 'thief', swapped);
  await expect(repositories.keys('thief')).rejects.toThrow(VaultError);
  expect(await repositories.get('thief')).toMatchObject({ name: 'thief' });
});
