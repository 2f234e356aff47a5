import { Command } from 'commander';
import { withService } from './connect.ts';

/** `cofferdam cancel`: ends builds that nobody needs any more. */
export function command(): Command {
  return new Command('cancel')
    .description('Cancels builds. One that has ended stays as it is.')
    .argument('<id...>', 'the builds; the beginning of an id is enough')
    .option('--json', 'print the records, one a line')
    .action(cancel);
}

async function cancel(texts: readonly string[], { json }: { readonly json?: true }): Promise<void> {
  await withService(async (client) => {
    // All must be known before one is canceled.
    const ids = await Promise.all(texts.map((text) => client.identify(text)));
    for (const id of ids) {
      const build = await client.cancel(id);
      const state = build.status === 'running' ? 'canceling' : build.status.replace('_', ' ');
      process.stdout.write(json ? `${JSON.stringify(build)}\n` : `${id} ${state}\n`);
    }
  });
}
