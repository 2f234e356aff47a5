import { join } from 'node:path';
import { openRepositories, type Repositories } from '../../src/repositories.ts';
import type { RedisHandle } from '../../src/redis.ts';
import { openSecrets, type Secrets } from '../../src/secrets.ts';
import { openSettings } from '../../src/settings.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { openVault } from '../../src/vault.ts';
import { createKeyFile } from '../../src/vault/key-file.ts';

/** Repositories and secrets in an empty Redis, sealed by a new key `secret.key`; their archive is beside it. */
export async function openSettled(
  redis: RedisHandle,
  directory: string,
): Promise<{ readonly repositories: Repositories; readonly secrets: Secrets }> {
  const keyFile = join(directory, 'secret.key');
  await createKeyFile(keyFile);
  const vault = openVault(keyFile);
  const settings = openSettings(redis, openStorage(`file:${join(directory, 'archive')}`));
  return { repositories: openRepositories(settings, vault), secrets: openSecrets(settings, vault) };
}
