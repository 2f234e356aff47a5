import { Command } from 'commander';
import type { ShownCron } from '../api/cron-job.ts';
import type { CronJobRequest } from '../crons/job.ts';
import { withService } from './connect.ts';
import { plain, table } from './table.ts';

interface Json {
  readonly json?: true;
}

/** `cofferdam repo cron`: builds at set times. */
export function cronCommand(): Command {
  // Subcommands take this setting over when they are made.
  const cron = new Command('cron').description('Builds branches at set times.').exitOverride();
  cron
    .command('add <repository> <name>')
    .summary('add a cron job, or replace the one of that name; its next runs are on stdout')
    .description(
      'Builds a branch at set times. The schedule has five fields, as in crontab(5): minute, hour, day of the month, ' +
        'month, day of the week.',
    )
    .requiredOption('-s, --schedule <fields>', "when, as '0 3 * * 1-5'")
    .option('-z, --timezone <name>', 'where it is that time, as Europe/Berlin; default: UTC')
    .option('-b, --branch <name>', 'default: the default branch of the day')
    .option('--json', 'print one JSON document')
    .action(add);
  cron
    .command('ls [repository]')
    .description('list cron jobs with their next three runs')
    .option('--json', 'print one JSON document')
    .action(list);
  cron
    .command('rm <repository> <name>')
    .description('remove a cron job; its builds stay')
    .action((repository: string, name: string) =>
      withService((client) => client.crons.remove(repository, name)),
    );
  cron
    .command('run <repository> <name>')
    .description("build now what a cron job builds; the build's id is on stdout")
    .option('--json', 'print one JSON document')
    .action(run);
  return cron;
}

async function add(repository: string, name: string, { json, ...job }: CronJobRequest & Json): Promise<void> {
  const made = await withService((client) => client.crons.put(repository, name, job));
  const lines = runsOf(made).map((each) => `${each} ${made.timezone}\n`);
  process.stdout.write(json ? `${JSON.stringify(made)}\n` : lines.join(''));
}

async function list(repository: string | undefined, { json }: Json): Promise<void> {
  const crons = await withService((client) => client.crons.list(repository));
  const rows = crons.map((cron) => [
    plain(cron.repository),
    cron.name,
    plain(cron.branch ?? '(default)'),
    cron.schedule,
    cron.timezone,
    runsOf(cron).join(', '),
  ]);
  const header = ['REPOSITORY', 'NAME', 'BRANCH', 'SCHEDULE', 'TIME ZONE', 'NEXT'];
  process.stdout.write(json ? `${JSON.stringify(crons)}\n` : table(header, rows));
}

async function run(repository: string, name: string, { json }: Json): Promise<void> {
  const build = await withService((client) => client.crons.run(repository, name));
  process.stdout.write(json ? `${JSON.stringify(build)}\n` : `${build.id}\n`);
}

/** `Mon 2026-01-31 03:00` each, by the clock of the job's time zone. */
function runsOf({ next, timezone }: ShownCron): string[] {
  const day = new Intl.DateTimeFormat('en-GB', { timeZone: timezone, weekday: 'short' });
  const minute = new Intl.DateTimeFormat('sv-SE', {
    timeZone: timezone,
    dateStyle: 'short',
    timeStyle: 'short',
  });
  return next.map((iso) => `${day.format(new Date(iso))} ${minute.format(new Date(iso))}`);
}
