import { Command } from 'commander';
import { withService } from './connect.ts';

/** `cofferdam approve`: lets builds run that were held. */
export function command(): Command {
  return new Command('approve')
    .description('Lets builds run that wait for approval, such as those of strangers’ pull requests.')
    .argument('<id...>', 'the builds; the beginning of an id is enough')
    .option('--json', 'print the records, one a line')
    .action(approve);
}

async function approve(texts: readonly string[], { json }: { readonly json?: true }): Promise<void> {
  await withService(async (client) => {
    // All must be known before one is approved.
    const ids = await Promise.all(texts.map((text) => client.identify(text)));
    for (const id of ids) {
      const build = await client.approve(id);
      process.stdout.write(json ? `${JSON.stringify(build)}\n` : `${id} approved\n`);
    }
  });
}
