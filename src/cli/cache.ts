import { Command } from 'commander';
import { type CachesHere, openCachesHere, type ShownSnapshot } from '../../workers/caches/inventory.ts';
import { loadConfig } from '../config.ts';
import { openStorage } from '../storage/storage.ts';
import { UsageError } from '../usage.ts';
import { size } from './format.ts';
import { table } from './table.ts';

interface Options {
  readonly stored?: true;
  readonly json?: true;
}

/** `cofferdam cache`: what builds left for later ones, on this machine or in the storage of the service. */
export function command(): Command {
  // Subcommands take this setting over when they are made.
  const cache = new Command('cache')
    .description(
      "Shows and removes snapshots of builds' caches: on this machine or, with --stored, in the storage.",
    )
    .exitOverride();
  const stored = ['--stored', 'those in COFFERDAM_STORE, which all workers share'] as const;
  const json = ['--json', 'print one JSON document'] as const;
  cache
    .command('ls [project]')
    .description('list the snapshots, the newest first')
    .option(...stored)
    .option(...json)
    .action(list);
  cache
    .command('rm <project> [name]')
    .description("remove the snapshots of a project's caches, or of one of them")
    .option(...stored)
    .option(...json)
    .action(remove);
  cache
    .command('prune')
    .description('remove what was dropped and, on this machine, what exceeds COFFERDAM_CACHE_MAX')
    .option('--older-than <time>', 'also remove what was saved before: 30d, 12h')
    .option(...stored)
    .option(...json)
    .action(prune);
  return cache;
}

async function list(project: string | undefined, options: Options): Promise<void> {
  const all = await inventory(options).list();
  const shown = all.filter((snapshot) => project === undefined || snapshot.project === project);
  process.stdout.write(options.json ? `${JSON.stringify(shown)}\n` : describe(shown));
}

async function remove(project: string, name: string | undefined, options: Options): Promise<void> {
  const caches = inventory(options);
  const chosen = (await caches.list()).filter(
    (snapshot) => snapshot.project === project && (name === undefined || snapshot.name === name),
  );
  await removeAll(caches, chosen, options);
}

async function prune({ olderThan, ...options }: Options & { readonly olderThan?: string }): Promise<void> {
  const caches = inventory(options);
  const before = olderThan === undefined ? undefined : Date.now() - time(olderThan);
  const old = (await caches.list()).filter(
    ({ savedAt }) => before !== undefined && Date.parse(savedAt) < before,
  );
  await removeAll(caches, old, options);
  await caches.trim();
}

async function removeAll(
  caches: CachesHere,
  chosen: readonly ShownSnapshot[],
  { json }: Options,
): Promise<void> {
  const removed: ShownSnapshot[] = [];
  const inUse: ShownSnapshot[] = [];
  for (const snapshot of chosen) ((await caches.remove(snapshot)) ? removed : inUse).push(snapshot);
  if (json) {
    process.stdout.write(`${JSON.stringify({ removed, inUse })}\n`);
    return;
  }
  for (const { project, name, key } of inUse) {
    process.stderr.write(`${project} ${name} ${key.slice(0, 12)} is in use by a running build\n`);
  }
  process.stdout.write(`removed ${removed.length} ${removed.length === 1 ? 'snapshot' : 'snapshots'}\n`);
}

function inventory({ stored }: Options): CachesHere {
  const { dataDir, cacheMaxBytes, store } = loadConfig();
  return openCachesHere({ dataDir, maxBytes: cacheMaxBytes, storage: stored && openStorage(store) });
}

function time(text: string): number {
  const [, count, unit] = /^([0-9]{1,5})([dh])$/.exec(text) ?? [];
  if (count === undefined) throw new UsageError(`'${text}' is no time; write for example 30d or 12h`);
  return Number(count) * (unit === 'd' ? 24 : 1) * 3_600_000;
}

function describe(snapshots: readonly ShownSnapshot[]): string {
  const rows = snapshots.map(({ project, name, key, files, bytes, savedAt, usedAt }) => [
    project,
    name,
    key.slice(0, 12),
    String(files),
    size(bytes),
    minute(savedAt),
    usedAt === undefined ? '' : minute(usedAt),
  ]);
  return table(['PROJECT', 'CACHE', 'KEY', 'FILES', 'SIZE', 'SAVED', 'USED'], rows);
}

/** `2026-01-31 12:05`, UTC. */
function minute(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}
