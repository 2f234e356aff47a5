import { Command, Option } from 'commander';
import type { Client } from '../client.ts';
import { withService } from './connect.ts';
import { exitCode } from './exit.ts';
import { UsageError } from '../usage.ts';
import { followToEnd, showLog } from './follow.ts';
import { choiceNow, choiceWhenPlanned } from './log-choice.ts';
import { createOutput } from './output.ts';
import { visible } from './paint.ts';

interface LogsOptions {
  readonly step: readonly string[];
  readonly follow?: true;
  readonly raw?: true;
  readonly json?: true;
}

/** `cofferdam logs`: the log of a build, as it is or as it comes. */
export function command(): Command {
  return new Command('logs')
    .summary('print the log of a build')
    .description(
      'Prints the log of a build as far as it has come; with --follow until the build ends. Where steps ran side by ' +
        'side, each line says whose it is.',
    )
    .argument('<id>', 'the build; the beginning of its id is enough')
    .option('-f, --follow', 'show the build until it ends, and exit as it did; Ctrl-C detaches')
    .addOption(
      new Option(
        '--step <name>',
        'only what this step wrote, or this service as service:NAME; WORKFLOW/NAME of one workflow among several; ' +
          'may be repeated',
      )
        .argParser((name: string, before: readonly string[]) => [...before, name])
        .default([], 'all'),
    )
    .option('--raw', 'nothing but the bytes of the log; with --follow until the build ends')
    .option('--json', 'print events as NDJSON until the build ends')
    .action(logs);
}

async function logs(text: string, { step: steps, follow, raw, json }: LogsOptions): Promise<void> {
  if (raw && json) throw new UsageError('choose --raw or --json, not both');
  process.exitCode = await withService(async (client) => {
    const id = await client.identify(text);
    if (raw) return await writeBytes(client, id, steps, follow === true);
    return follow || json
      ? await followToEnd(client, id, { json: json === true, steps })
      : await showLog(client, id, { steps });
  });
}

/** Writes the bytes of the log, or of some of its steps; returns the exit code: 3 if some of it is lost. */
async function writeBytes(
  client: Client,
  id: string,
  steps: readonly string[],
  follow: boolean,
): Promise<number> {
  const output = createOutput();
  if (!follow && steps.length === 0) {
    for await (const chunk of await client.log(id)) await output.out(Buffer.from(chunk));
    return exitCode.passed;
  }
  const { signal } = new AbortController();
  const choose = follow ? choiceWhenPlanned : choiceNow;
  const choice = steps.length > 0 ? await choose(client, id, steps, signal) : undefined;
  let code: number = exitCode.passed;
  for await (const event of client.follow(id, signal, follow ? 'end' : 'now')) {
    if (event.type === 'log' && (!choice || choice.has(event))) await output.out(event.data);
    if (event.type !== 'gap') continue;
    await output.err(`warning: ${visible(event.detail)}\n`);
    code = exitCode.errored;
  }
  return code;
}
