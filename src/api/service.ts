import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BuildRecord } from '../build.ts';
import type { Crons } from '../crons.ts';
import type { Deliveries } from '../deliveries.ts';
import type { Hooks } from '../hooks.ts';
import type { LogReader } from '../logs.ts';
import type { Queue } from '../queue.ts';
import type { Records } from '../records.ts';
import type { RedisHandle } from '../redis.ts';
import type { Repositories } from '../repositories.ts';
import type { Secrets } from '../secrets.ts';
import type { Statuses } from '../statuses.ts';
import type { Storage } from '../storage/storage.ts';
import type { Tokens } from '../tokens.ts';
import type { Reach } from './availability.ts';
import type { LogHub } from './hub.ts';
import type { Streams } from './closing.ts';
import type { RecordView } from './watch.ts';

/** What the API stands on. */
export interface Service {
  readonly redis: RedisHandle;
  readonly storage: Storage;
  readonly records: Records;
  readonly queue: Queue;
  readonly logs: LogReader;
  readonly tokens: Tokens;
  readonly repositories: Repositories;
  readonly secrets: Secrets;
  readonly crons: Crons;
  readonly deliveries: Deliveries;
  readonly hooks: Hooks;
  readonly statuses: Statuses;
}

/** What the resources share besides. */
export interface Context extends Service {
  readonly reach: Reach;
  readonly streams: Streams;
  readonly hub: LogHub;
  readonly watch: (first: BuildRecord, wake: () => void) => RecordView;
  /** Where users and forges reach the API; without a slash at the end. */
  readonly publicUrl: () => string;
  readonly spoolDir: string;
  readonly uploadMaxBytes: number;
  readonly heartbeatMs: number;
}

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
