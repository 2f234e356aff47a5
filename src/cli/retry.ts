import { Command } from 'commander';
import { withService } from './connect.ts';
import { followToEnd } from './follow.ts';

interface RetryOptions {
  readonly follow?: true;
  readonly json?: true;
}

/** `cofferdam retry`: the same build once more. */
export function command(): Command {
  return new Command('retry')
    .description(
      "Builds the same source in the same way again, of a branch the commit that it had. The new build's id is on stdout.",
    )
    .argument('<id>', 'the build; the beginning of its id is enough')
    .option('-f, --follow', 'show the new build until it ends, and exit as it did; Ctrl-C detaches')
    .option('--json', 'print the new record as JSON; with --follow events as NDJSON')
    .action(retry);
}

async function retry(text: string, { follow, json }: RetryOptions): Promise<void> {
  process.exitCode = await withService(async (client) => {
    const build = await client.retry(await client.identify(text));
    if (!follow) {
      process.stdout.write(json ? `${JSON.stringify(build)}\n` : `${build.id}\n`);
      return 0;
    }
    process.stderr.write(`${build.id} queued at ${client.url}\n`);
    return await followToEnd(client, build.id, { json: json === true });
  });
}
