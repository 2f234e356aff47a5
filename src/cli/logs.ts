import { Command } from 'commander';
import { withService } from './connect.ts';
import { exitCode } from './exit.ts';
import { UsageError } from '../usage.ts';
import { followToEnd, showLog } from './follow.ts';
import { createOutput } from './output.ts';

interface LogsOptions {
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
    .option('--raw', 'nothing but the bytes of the log; with --follow until the build ends')
    .option('--json', 'print events as NDJSON until the build ends')
    .action(logs);
}

async function logs(text: string, { follow, raw, json }: LogsOptions): Promise<void> {
  if (raw && json) throw new UsageError('choose --raw or --json, not both');
  process.exitCode = await withService(async (client) => {
    const id = await client.identify(text);
    if ((follow || json) && !raw) return await followToEnd(client, id, json === true);
    if (!raw) return await showLog(client, id);
    const output = createOutput();
    if (!follow) {
      for await (const chunk of await client.log(id)) await output.out(Buffer.from(chunk));
      return exitCode.passed;
    }
    for await (const event of client.follow(id, new AbortController().signal)) {
      if (event.type === 'log') await output.out(event.data);
    }
    return exitCode.passed;
  });
}
