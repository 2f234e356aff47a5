import type { RepositoryDetails } from '../api/repository.ts';
import { duration, size } from './format.ts';
import { plain, second } from './table.ts';

/** A repository for people: what there is to say of it, a line each. */
export function describeRepository(repository: RepositoryDetails): string {
  const { untrusted, defaults, checkout, keys } = repository;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['name', repository.name],
    ['url', repository.url],
    ['forge', repository.forge],
    ['api', repository.apiUrl ?? 'none'],
    ['webhook', repository.webhookUrl],
    ['secret', keys.webhookSecrets > 1 ? 'set; the one before is accepted too' : 'set'],
    ['credentials', keys.credentials],
    ['forge token', keys.forgeToken],
    ['branch', repository.defaultBranch],
    ['events', repository.events.join(', ') || 'none'],
    ['supersede', repository.supersede.join(', ') || 'none'],
    ['untrusted', [untrusted.builds, `network ${untrusted.network}`, ...limits(untrusted.limits)].join(', ')],
    ['priority', defaults.priority?.toString()],
    ['labels', pairs(defaults.labels)],
    ['variables', pairs(defaults.environment)],
    ['concurrency', repository.concurrency?.toString()],
    ['submodules', checkout.submodules],
    ['lfs', checkout.lfs],
    ['paths', checkout.paths.join(' ') || undefined],
    ['hosts', repository.hosts],
    ['badge', repository.badge],
    ...repository.crons.map(
      ({ name, schedule, timezone, branch = '(default)' }) =>
        ['cron', `${name}: ${schedule} ${timezone}, ${branch}`] as const,
    ),
    ['added', second(repository.createdAt)],
  ];
  return facts
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(13)}${plain(value)}\n`]))
    .join('');
}

function limits({
  cpus,
  memoryBytes,
  diskBytes,
  pids,
  timeoutMs,
}: RepositoryDetails['untrusted']['limits']): string[] {
  const each = [
    cpus === undefined ? undefined : `${cpus} cpus`,
    memoryBytes === undefined ? undefined : `${size(memoryBytes)} of memory`,
    diskBytes === undefined ? undefined : `${size(diskBytes)} of disk`,
    pids === undefined ? undefined : `${pids} pids`,
    timeoutMs === undefined ? undefined : duration(timeoutMs),
  ].filter((limit) => limit !== undefined);
  return each.length === 0 ? [] : [`at most ${each.join(', ')}`];
}

function pairs(values: Readonly<Record<string, string>> = {}): string | undefined {
  const all = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  return all.join(' ') || undefined;
}
