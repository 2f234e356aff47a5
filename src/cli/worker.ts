import { Command, Option } from 'commander';
import { runWorker, type WorkerOptions } from '../../workers/main.ts';
import { loadConfig } from '../config.ts';
import { redisUrlOf } from '../up/place.ts';
import { endWithParent } from '../up/supervised.ts';
import { collectPairs, cpusOf, durationOf, integerOf, sizeOf } from './words.ts';

interface Options {
  readonly id?: string;
  readonly label: Readonly<Record<string, string>>;
  readonly slots?: string;
  readonly cpus?: string;
  readonly memory?: string;
  readonly headroom?: string;
  readonly drain?: string;
  readonly supervised?: true;
}

/** `cofferdam worker`: runs builds of the queue on this machine. */
export function command(): Command {
  return new Command('worker')
    .summary('run builds of the service on this machine')
    .description(
      'Takes builds from the queue of COFFERDAM_REDIS_URL (default: that of cofferdam up on this machine) and runs ' +
        'them. SIGTERM: takes no more, and lets those that run finish for the time of ' +
        '--drain, then gives them back to the queue; a second SIGTERM cancels them.',
    )
    .option('--id <name>', 'what it is called, the same after a restart; default: made of the host name')
    .addOption(
      new Option('-l, --label <key=value>', 'what it offers to builds that ask for it; may be repeated')
        .argParser(collectPairs('--label'))
        .default({}, 'none'),
    )
    .option('--slots <number>', 'at most so many builds side by side')
    .option('--cpus <number>', 'processors that builds may use; default: all')
    .option('--memory <size>', 'memory that builds may use, as 8GiB; default: most of it')
    .option('--headroom <size>', 'takes no builds while less than this is free on disk, as 5GiB')
    .option('--drain <duration>', 'how long running builds may take to finish, as 10m')
    .addOption(new Option('--supervised', 'end when stdin is closed').hideHelp())
    .action(work);
}

async function work(options: Options): Promise<void> {
  const wanted = workerOptions(options);
  if (options.supervised) endWithParent();
  process.exitCode = await runWorker(wanted);
}

function workerOptions({ id, label, slots, cpus, memory, headroom, drain }: Options): WorkerOptions {
  const config = loadConfig();
  const { worker } = config;
  const cpuCount = cpus === undefined ? worker.cpus : cpusOf('--cpus', cpus);
  const memoryBytes = memory === undefined ? worker.memoryBytes : sizeOf('--memory', memory);
  return {
    config: { ...config, redisUrl: redisUrlOf(config) },
    labels: { ...worker.labels, ...label },
    ...(id !== undefined && { id }),
    ...(slots !== undefined && { slots: integerOf('--slots', slots, 1, 10_000) }),
    ...(cpuCount !== undefined && { cpus: cpuCount }),
    ...(memoryBytes !== undefined && { memoryBytes }),
    ...(headroom !== undefined && { headroomBytes: sizeOf('--headroom', headroom) }),
    ...(drain !== undefined && { drainMs: durationOf('--drain', drain) }),
  };
}
