import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import type { RepositoryKeys, Repository } from '../../../src/repositories.ts';
import type { RedisHandle } from '../../../src/redis.ts';
import type { BuildSpec } from '../../../src/spec.ts';
import { openStatuses, type StatusPace } from '../../../src/statuses.ts';
import { forgeOf } from '../../../src/triggers/forges.ts';
import { openService } from '../queue/service.ts';
import { makeSpec } from '../queue/specs.ts';
import { makeRepository } from '../triggers/samples.ts';
import { forgeKind, type ForgeServer, type Kind } from './forge-server.ts';

/** Some fifty times as fast as the real one. */
export const quickPace: StatusPace = {
  pollMs: 5,
  timeoutMs: 300,
  leaseMs: 900,
  failed: { firstMs: 10, mostMs: 60 },
  denied: { firstMs: 5, mostMs: 20, most: 3 },
  graceMs: 300,
  confirmMs: 50,
};

export function repositoryAt(kind: Kind, apiUrl: string, name = 'acme/tool'): Repository {
  return makeRepository({
    name,
    url: `https://forge.example/${name}.git`,
    forge: forgeKind(kind),
    apiUrl,
    events: ['push'],
    supersede: [],
  });
}

/** A build of a commit whose forge wants to know how it fares. */
export function pushSpec(sha: string, wanted: Partial<BuildSpec> = {}, repository = 'acme/tool'): BuildSpec {
  return makeSpec({
    project: repository,
    source: {
      kind: 'git',
      url: 'https://forge.example/x.git',
      repository,
      repo: repository,
      ref: 'refs/heads/main',
      sha,
    },
    trigger: { kind: 'push', branch: 'main' },
    report: 'commit-status',
    ...wanted,
  });
}

/** A queue and a process that tells one forge; all of it ends with the test. */
export function openSite(
  redis: RedisHandle,
  kind: Kind,
  forge: ForgeServer,
  {
    keys = { webhookSecrets: [], forgeToken: 'right' },
    pace = quickPace,
    apiUrlOf = () => forge.url,
  }: {
    readonly keys?: RepositoryKeys;
    readonly pace?: StatusPace;
    /** Of a repository's name. */
    readonly apiUrlOf?: (name: string) => string;
  } = {},
) {
  const logged: { level: number; msg: string; why?: string }[] = [];
  const repositories = {
    get: (name: string) => Promise.resolve(repositoryAt(kind, apiUrlOf(name), name)),
    keys: () => Promise.resolve(keys),
  };
  const logger = pino({ level: 'warn' }, { write: (line) => void logged.push(JSON.parse(line)) });
  // Before the service, so that it ends after it: hooks run in reverse.
  onTestFinished(() => Promise.all(open.map((each) => each.close())).then(() => forge.close()));
  const open: { close(): Promise<void> }[] = [];
  const service = openService(redis);
  const begin = () => {
    const { queue, records } = service;
    const statuses = openStatuses({ queue, records, repositories, forgeOf, logger, pace });
    statuses.start('https://ci.example');
    open.push(statuses);
    return statuses;
  };
  /** Whether nobody is left to be told. */
  const settled = async () => (await service.queue.stats()).reports === 0;
  /** And all builds have ended. */
  const concluded = async () => {
    const { held, delayed, waiting, ready, running, reports } = await service.queue.stats();
    return held + delayed + waiting + ready + running + reports === 0;
  };
  return { ...service, logged, begin, settled, concluded };
}
