import { join } from 'node:path';
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RedisHandle } from '../../src/redis.ts';
import { newRepository } from '../../src/repositories/change.ts';
import type { Repositories } from '../../src/repositories.ts';
import { SecretError, type Secrets, type SecretScope } from '../../src/secrets.ts';
import { VaultError } from '../../src/vault/error.ts';
import { useRedis } from '../redis.ts';
import { type Directory, temporaryDirectory } from '../workers/directory.ts';
import { randomFrom } from '../random.ts';
import { textsIn } from './redis-texts.ts';
import { openSettled } from './settled.ts';

const redis = useRedis();
let directory: Directory;
let handle: RedisHandle;
let secrets: Secrets;
let repositories: Repositories;
beforeEach(async () => {
  directory = temporaryDirectory();
  handle = await redis.connect();
  ({ repositories, secrets } = await openSettled(handle, directory.path));
});
afterEach(() => directory[Symbol.dispose]());

const repository = (name: string): SecretScope => ({ kind: 'repository', name });
const organization = (name: string): SecretScope => ({ kind: 'organization', name });

describe('values for a build', () => {
  test('are those of its repository and its organizations; the nearest wins', async () => {
    await secrets.set({ name: 'A', scope: organization('acme'), triggers: [] }, 'A of acme');
    await secrets.set({ name: 'B', scope: organization('acme'), triggers: [] }, 'B of acme');
    await secrets.set({ name: 'B', scope: organization('acme/team'), triggers: [] }, 'B of acme/team');
    await secrets.set({ name: 'C', scope: organization('acme'), triggers: [] }, 'C of acme');
    await secrets.set({ name: 'C', scope: repository('acme/team/app'), triggers: [] }, 'C of the app');
    await secrets.set({ name: 'D', scope: repository('acme'), triggers: [] }, 'D of a repository');
    await secrets.set({ name: 'E', scope: organization('acm'), triggers: [] }, 'E of others');
    await secrets.set({ name: 'F', scope: organization('acme/team/app'), triggers: [] }, 'F of those below');
    expect(Object.fromEntries(await secrets.valuesFor('acme/team/app', 'push'))).toEqual({
      A: 'A of acme',
      B: 'B of acme/team',
      C: 'C of the app',
    });
    expect(await secrets.valuesFor('else', 'push')).toEqual(new Map());
  });

  test('are the same whatever the case of the repository, and not of the secret', async () => {
    await secrets.set({ name: 'token', scope: repository('Acme/App'), triggers: [] }, 'lower case');
    await secrets.set({ name: 'TOKEN', scope: repository('acme/app'), triggers: [] }, 'upper case');
    expect(Object.fromEntries(await secrets.valuesFor('ACME/app', 'push'))).toEqual({
      token: 'lower case',
      TOKEN: 'upper case',
    });
  });

  test('are given to the triggers that they name', async () => {
    const scope = repository('acme/app');
    await secrets.set({ name: 'RELEASE', scope, triggers: ['tag', 'manual'] }, 'for releases');
    await secrets.set({ name: 'ALL', scope, triggers: [] }, 'for all of them');
    for (const trigger of ['manual', 'push', 'tag', 'pull_request', 'cron'] as const) {
      const names = [...(await secrets.valuesFor('acme/app', trigger)).keys()];
      expect([trigger, names]).toEqual([
        trigger,
        trigger === 'tag' || trigger === 'manual' ? ['ALL', 'RELEASE'] : ['ALL'],
      ]);
    }
  });

  test('a nearer one that is not for the trigger is not replaced by a farther one', async () => {
    await secrets.set({ name: 'TOKEN', scope: organization('acme'), triggers: [] }, 'of the organization');
    await secrets.set(
      { name: 'TOKEN', scope: repository('acme/app'), triggers: ['tag'] },
      'of the repository',
    );
    expect((await secrets.valuesFor('acme/app', 'push')).size).toBe(0);
  });
});

test('a secret is listed without its value, replaced and removed', async () => {
  const scope = repository('acme/app');
  const first = await secrets.set({ name: 'TOKEN', scope, triggers: [] }, 'first value');
  const second = await secrets.set({ name: 'TOKEN', scope, triggers: ['push'] }, 'second value');
  await secrets.set({ name: 'OTHER', scope: organization('acme'), triggers: [] }, 'other value');
  expect(first).toMatchObject({ name: 'TOKEN', scope, triggers: [] });
  expect(await secrets.list(scope)).toEqual([second]);
  expect((await secrets.list()).map(({ name }) => name)).toEqual(['OTHER', 'TOKEN']);
  expect(JSON.stringify(await secrets.list())).not.toContain('value"');
  expect((await secrets.valuesFor('acme/app', 'push')).get('TOKEN')).toBe('second value');
  expect(await secrets.remove(scope, 'TOKEN')).toBe(true);
  expect(await secrets.remove(scope, 'TOKEN')).toBe(false);
  expect((await secrets.valuesFor('acme/app', 'push')).size).toBe(1);
});

test.for<[string, string, string, RegExp]>([
  ['one that is too short', 'A', '1234567', /at least 8 bytes, and this one has 7: hiding it in logs/],
  ['one that is too long', 'A', 'x'.repeat(65_537), /at most 64 KiB/],
  ['one with NUL', 'A', 'abc\0defgh', /text without NUL/],
  ['a name with a blank', 'A B', 'very secret', /'A B' cannot name a secret; use up to 100 letters/],
  ['no name', '', 'very secret', /cannot name a secret/],
  ['a name like an option', '-A', 'very secret', /cannot name a secret/],
  ['a name that is too long', 'A'.repeat(101), 'very secret', /cannot name a secret/],
  ['a name like a path', '../A', 'very secret', /cannot name a secret/],
])('%s is refused, and not repeated', async ([, name, value, message]) => {
  const setting = secrets.set({ name, scope: repository('acme'), triggers: [] }, value);
  await expect(setting).rejects.toThrow(SecretError);
  await expect(setting).rejects.toThrow(message);
  await expect(setting).rejects.not.toThrow(value);
  expect(await secrets.list()).toEqual([]);
});

test('the shortest and the longest that may be come back byte by byte', async () => {
  for (const value of ['12345678', 'ééé\n1', 'x'.repeat(65_536)]) {
    await secrets.set({ name: 'A', scope: repository('acme'), triggers: [] }, value);
    expect((await secrets.valuesFor('acme', 'push')).get('A')).toBe(value);
  }
});

test('a secret that is moved to another name or owner in Redis does not open there', async () => {
  await secrets.set({ name: 'A', scope: repository('victim'), triggers: [] }, 'very secret');
  const { client, prefix } = handle;
  const text = (await client.hget(`${prefix}set:secrets/repository/victim`, 'A')) ?? '';
  await client.hset(`${prefix}set:secrets/repository/thief`, 'A', text);
  await expect(secrets.valuesFor('thief', 'push')).rejects.toThrow(VaultError);
  await client.hset(`${prefix}set:secrets/repository/victim`, 'B', text.replace('"name":"A"', '"name":"B"'));
  await expect(secrets.valuesFor('victim', 'push')).rejects.toThrow(VaultError);
});

test('no value is anywhere in Redis or in storage, in any of the forms that are easy to undo', async () => {
  const random = randomFrom(7);
  const word = () => Array.from({ length: 20 }, () => 'abcdefghijkmnpqrstuvwxyz'[random(24)]).join('');
  const values = Array.from({ length: 12 }, word);
  const [webhook = '', password = '', token = '', ...others] = values;
  const added = newRepository({ name: 'acme/app', forge: 'github', url: 'https://github.com/acme/app' });
  const git = { kind: 'https', user: 'ci', password } as const;
  await repositories.add(added, { webhookSecrets: [webhook], git, forgeToken: token });
  await repositories.change('acme/app', (old, keys) => ({ repository: old, keys: keys() }));
  for (const [i, value] of others.entries()) {
    const scope = i % 2 ? repository('acme/app') : organization('acme');
    await secrets.set({ name: `S${i}`, scope, triggers: [] }, value);
    await secrets.valuesFor('acme/app', 'push');
  }
  const archive = join(directory.path, 'archive');
  const files = readdirSync(archive, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => readFileSync(join(each.parentPath, each.name), 'utf8'));
  const kept = `${await textsIn(handle.client)}${files.join('\n')}`;
  expect(kept).toContain('"S3"');
  expect(files.length).toBeGreaterThan(values.length - 3);
  for (const value of values) {
    for (const encoding of ['utf8', 'base64', 'base64url', 'hex'] as const) {
      // Base64 of the middle of a longer text has other ends.
      const form = Buffer.from(value).toString(encoding).replace(/=+$/, '').slice(4, -4);
      expect(kept).not.toContain(form);
    }
  }
});
