import { Command, Option } from 'commander';
import type { Status } from '../build.ts';
import type { ShownBuild } from '../client.ts';
import type { BuildFilter } from '../records/indexes.ts';
import { withService } from './connect.ts';
import { duration } from './format.ts';
import { plain, second, table } from './table.ts';
import { integerOf } from './words.ts';

const statuses: readonly Status[] = [
  'queued',
  'running',
  'passed',
  'failed',
  'errored',
  'canceled',
  'timed_out',
];

interface LsOptions {
  readonly project?: string;
  readonly branch?: string;
  readonly status?: Status;
  readonly limit: string;
  readonly all?: true;
  readonly json?: true;
}

/** `cofferdam ls`: builds, newest first. */
export function command(): Command {
  return new Command('ls')
    .description('Lists builds, newest first.')
    .option('-p, --project <name>', 'only those of a project')
    .option('-b, --branch <name>', 'only those of a branch of the project')
    .addOption(new Option('-s, --status <status>', 'only those in this state').choices(statuses))
    .option('-n, --limit <number>', 'at most so many', '20')
    .option('-a, --all', 'all there are')
    .option('--json', 'print the records as NDJSON')
    .action(ls);
}

async function ls({ limit, all, json, ...filter }: LsOptions): Promise<void> {
  const most = all ? Number.POSITIVE_INFINITY : integerOf('--limit', limit, 1, 1_000_000);
  await withService(async (client) => {
    const shown: ShownBuild[] = [];
    let count = 0;
    for await (const build of client.builds(filter satisfies BuildFilter, Math.min(most, 100))) {
      if (json) process.stdout.write(`${JSON.stringify(build)}\n`);
      else shown.push(build);
      if (++count >= most) break;
    }
    if (!json)
      process.stdout.write(
        table(['ID', 'NUMBER', 'STATUS', 'PROJECT', 'REF', 'CREATED', 'TOOK'], shown.map(row)),
      );
  });
}

function row({
  id,
  number,
  status,
  reason,
  project = '',
  source,
  createdAt,
  startedAt,
  finishedAt,
}: ShownBuild): string[] {
  const known = reason === undefined || ['exit', 'timeout', 'canceled'].includes(reason);
  const state = known ? status : `${status} (${reason})`;
  const took = startedAt && finishedAt ? duration(Date.parse(finishedAt) - Date.parse(startedAt)) : '-';
  return [
    id,
    String(number ?? '-'),
    state.replace('_', ' '),
    plain(project),
    plain(source.ref ?? '-'),
    second(createdAt),
    took,
  ];
}
