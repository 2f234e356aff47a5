import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { createServer, type ServerOptions } from '../../../src/api/server.ts';
import type { App, Service } from '../../../src/api/service.ts';
import { openCrons } from '../../../src/crons.ts';
import { openDeliveries } from '../../../src/deliveries.ts';
import { openHooks } from '../../../src/hooks.ts';
import type { LogReader } from '../../../src/logs.ts';
import { openLogReader } from '../../../src/logs/reader.ts';
import { openQueue } from '../../../src/queue.ts';
import type { Timing } from '../../../src/queue/timing.ts';
import { openRecords } from '../../../src/records.ts';
import type { RedisHandle } from '../../../src/redis.ts';
import { openRepositories } from '../../../src/repositories.ts';
import { openSecrets } from '../../../src/secrets.ts';
import { openSettings } from '../../../src/settings.ts';
import { openStatuses } from '../../../src/statuses.ts';
import { openStorage } from '../../../src/storage/storage.ts';
import { forgeOf } from '../../../src/triggers/forges.ts';
import { openTokens, type Scope } from '../../../src/tokens.ts';
import { openVault } from '../../../src/vault.ts';
import { createKeyFile } from '../../../src/vault/key-file.ts';

/** The API on a real Redis and a real directory. */
export interface TestService extends Service {
  readonly app: App;
  readonly directory: string;
  /** The value of the Authorization header. */
  readonly bearer: Readonly<Record<Scope, string>>;
  /** Lines that the server logged. */
  readonly logged: string[];
  listen(): Promise<string>;
  stop(): Promise<void>;
}

export async function startService(
  redis: RedisHandle,
  options: Partial<ServerOptions> & { readonly logs?: LogReader; readonly timing?: Timing } = {},
): Promise<TestService> {
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-api-'));
  const storage = openStorage(`file:${join(directory, 'archive')}`);
  const records = openRecords(redis, storage);
  const queue = openQueue(redis, records, options.timing && { timing: options.timing });
  const settings = openSettings(redis, storage);
  const keyFile = join(directory, 'secret.key');
  await createKeyFile(keyFile);
  const vault = openVault(keyFile);
  const repositories = openRepositories(settings, vault);
  const secrets = openSecrets(settings, vault);
  const deliveries = openDeliveries(redis);
  const onTrouble = (error: unknown) => void logged.push(String(error));
  const hooks = openHooks({ repositories, deliveries, queue, onTrouble });
  const crons = openCrons({ redis, repositories, queue, onTrouble });
  const statuses = openStatuses({ queue, records, repositories, forgeOf, logger: pino({ level: 'silent' }) });
  const tokens = openTokens(redis);
  const bearer = { read: '', submit: '', admin: '' };
  for (const scope of ['read', 'submit', 'admin'] as const) {
    bearer[scope] = `Bearer ${(await tokens.create({ name: scope, scopes: [scope] })).secret}`;
  }
  const logged: string[] = [];
  const sink = new Writable({
    write: (line: Buffer, _encoding, done) => {
      logged.push(line.toString());
      done();
    },
  });
  const reader = openLogReader({ redis, storage, records });
  const logs = options.logs ?? reader;
  const service = {
    redis,
    storage,
    records,
    queue,
    tokens,
    logs,
    repositories,
    secrets,
    deliveries,
    hooks,
    crons,
    statuses,
  };
  const app = await createServer(service, {
    dataDir: directory,
    version: '0.0.0-test',
    logger: pino({ level: 'info' }, sink),
    uploadMaxBytes: 4 * 1024 ** 2,
    rateLimit: 100_000,
    ...options,
  });
  return {
    ...service,
    app,
    directory,
    bearer,
    logged,
    listen: () => app.listen({ host: '127.0.0.1', port: 0 }),
    stop: async () => {
      await app.close();
      reader.close();
      records.close();
      await crons.close();
      await queue.close();
      rmSync(directory, { recursive: true });
    },
  };
}
