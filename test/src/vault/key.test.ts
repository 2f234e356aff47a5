import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newRepository } from '../../../src/repositories/change.ts';
import { openRepositories } from '../../../src/repositories.ts';
import { openSecrets } from '../../../src/secrets.ts';
import { openSettings, type Settings } from '../../../src/settings.ts';
import { openStorage } from '../../../src/storage/storage.ts';
import { openVault } from '../../../src/vault.ts';
import { VaultError } from '../../../src/vault/error.ts';
import { provideKey, reseal } from '../../../src/vault/key.ts';
import { useRedis } from '../../redis.ts';
import { type Directory, temporaryDirectory } from '../../workers/directory.ts';

const redis = useRedis();
let directory: Directory;
let settings: Settings;
let file: string;
beforeEach(async () => {
  directory = temporaryDirectory();
  settings = openSettings(await redis.connect(), openStorage(`file:${join(directory.path, 'archive')}`));
  file = join(directory.path, 'secret.key');
});
afterEach(() => directory[Symbol.dispose]());

const newKey = () => `${randomBytes(32).toString('base64')}\n`;
const scope = { kind: 'repository', name: 'acme/app' } as const;

describe('the key', () => {
  test('is made at the first start, and stays', async () => {
    expect(await provideKey(file, settings)).toBe('made');
    const key = readFileSync(file, 'utf8');
    expect(await provideKey(file, settings)).toBe('known');
    expect(readFileSync(file, 'utf8')).toBe(key);
  });

  test('may be there before', async () => {
    writeFileSync(file, newKey(), { mode: 0o600 });
    expect(await provideKey(file, settings)).toBe('known');
  });

  test('is not made anew when it was lost', async () => {
    await provideKey(file, settings);
    rmSync(file);
    await expect(provideKey(file, settings)).rejects.toThrow(/it is not there; copy it there from a backup/);
    expect(existsSync(file)).toBe(false);
  });

  test('must not be another one', async () => {
    await provideKey(file, settings);
    writeFileSync(file, newKey());
    await expect(provideKey(file, settings)).rejects.toThrow(/which is not in .*; put that key back/);
  });

  test('is one, also when many machines start at once: the others make none', async () => {
    const files = Array.from({ length: 8 }, (_, i) => join(directory.path, `${i}`, 'secret.key'));
    const outcomes = await Promise.allSettled(files.map((each) => provideKey(each, settings)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const [i, outcome] of outcomes.entries()) {
      expect(existsSync(files[i] ?? '')).toBe(outcome.status === 'fulfilled');
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(VaultError);
    }
  });

  test('is one, also when many processes of a machine start at once: all go on', async () => {
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => provideKey(file, settings)));
    expect(outcomes.filter((each) => each === 'made').length).toBeLessThanOrEqual(1);
  });
});

test('a new key in front takes over: everything is sealed with it, and the old one can go', async () => {
  await provideKey(file, settings);
  const old = readFileSync(file, 'utf8');
  const before = openVault(file);
  const repository = newRepository({ name: 'acme/app', forge: 'github', url: 'https://github.com/acme/app' });
  await openRepositories(settings, before).add(repository, { webhookSecrets: ['s'.repeat(16)] });
  await openSecrets(settings, before).set({ name: 'NPM_TOKEN', scope, triggers: [] }, 'very secret');
  expect(await reseal(settings, before)).toBe(0);

  const fresh = newKey();
  writeFileSync(file, fresh + old);
  expect(await provideKey(file, settings)).toBe('known');
  expect(await reseal(settings, openVault(file))).toBe(3);
  expect(await reseal(settings, openVault(file))).toBe(0);

  writeFileSync(file, fresh);
  expect(await provideKey(file, settings)).toBe('known');
  const after = openVault(file);
  expect(await openRepositories(settings, after).keys('acme/app')).toEqual({
    webhookSecrets: ['s'.repeat(16)],
  });
  expect(await openSecrets(settings, after).valuesFor('acme/app', 'push')).toEqual(
    new Map([['NPM_TOKEN', 'very secret']]),
  );
});
