import { Command, Option } from 'commander';
import type { RepositoryDetails } from '../api/repository.ts';
import { type ForgeKind, forges } from '../repositories.ts';
import { withService } from './connect.ts';
import { changeOf, type RepositoryFlags, withRemovalFlags, withRepositoryFlags } from './repo-options.ts';
import { cronCommand } from './repo-cron.ts';
import { describeRepository } from './repo-show.ts';
import { secretInput, withoutNewline } from './secret-input.ts';
import { plain, table } from './table.ts';
import { webhookHelp } from './webhook-help.ts';

interface Json {
  readonly json?: true;
}

/** `cofferdam repo`: repositories whose events make builds. */
export function command(): Command {
  // Subcommands take this setting over when they are made.
  const repo = new Command('repo')
    .description('Adds, shows, changes and removes repositories; changes need an admin token.')
    .exitOverride();
  withRepositoryFlags(
    repo
      .command('add <url>')
      .summary('add a repository; its webhook and the secret of that are on stdout, this once')
      .description(
        'Adds a repository, and says what to enter at its forge. Secrets come from files or stdin (-), never from flags. ' +
          "By default all events make builds, newer ones of a branch cancel older ones, and strangers' builds run without " +
          'network and secrets.',
      )
      .addOption(
        new Option('--forge <kind>', 'what sends the webhooks').choices(forges).makeOptionMandatory(),
      )
      .option('-n, --name <name>', 'what it is called; default: the path of the URL')
      .option('--webhook-secret-file <file>', 'a file with the secret of the webhook; default: a new one')
      .option('--json', 'print one JSON document'),
  ).action(add);
  repo
    .command('ls')
    .description('list repositories')
    .option('--json', 'print one JSON document')
    .action(list);
  repo
    .command('show <name>')
    .description('show a repository')
    .option('--json', 'print one JSON document')
    .action(async (name: string, { json }: Json) => {
      print(await withService((client) => client.repositories.get(name)), json);
    });
  withRemovalFlags(
    withRepositoryFlags(
      repo
        .command('set <name>')
        .summary('change a repository')
        .description(
          'Changes what the flags say; the rest stays. Labels, variables and paths are replaced as a whole.',
        )
        .option('--url <url>', 'where it is now; credentials for another server must be given anew')
        .option('--json', 'print one JSON document'),
    ),
  ).action(change);
  repo
    .command('rm <name...>')
    .description('remove repositories with their secrets; their builds stay')
    .action(async (names: string[]) => {
      await withService(async (client) => {
        for (const name of names) await client.repositories.remove(name);
      });
    });
  repo
    .command('rotate-secret <name>')
    .summary('make a new secret of the webhook; it is on stdout, this once')
    .description(
      'Makes a new secret of the webhook; the old one is accepted too, until --finish. A secret that became known: --replace.',
    )
    .addOption(new Option('--finish', 'from now on only the newest one is accepted').conflicts('replace'))
    .option('--replace', 'the old one is not accepted any more')
    .option('--webhook-secret-file <file>', 'a file with the new one; - for stdin')
    .option('--json', 'print one JSON document')
    .action(rotate);
  repo.addCommand(cronCommand());
  return repo;
}

type AddOptions = RepositoryFlags &
  Json & { readonly forge: ForgeKind; readonly name?: string; readonly webhookSecretFile?: string };

async function add(url: string, options: AddOptions): Promise<void> {
  const { forge, name, webhookSecretFile, json } = options;
  const input = secretInput();
  const request = {
    url,
    forge,
    ...(name !== undefined && { name }),
    ...(await changeOf(options, input)),
    ...(webhookSecretFile !== undefined && {
      webhookSecret: withoutNewline(await input.read('--webhook-secret-file', webhookSecretFile)),
    }),
  };
  const added = await withService((client) => client.repositories.add(request));
  if (json) {
    process.stdout.write(`${JSON.stringify(added)}\n`);
    return;
  }
  const secret = webhookSecretFile === undefined ? added.webhookSecret : 'as you gave it';
  process.stdout.write(
    `name            ${added.name}\nwebhook URL     ${added.webhookUrl}\nwebhook secret  ${secret}\n`,
  );
  process.stderr.write(`\n${webhookHelp(forge)}\n`);
  if (/^http:\/\/(127\.|localhost|\[::1\])/.test(added.webhookUrl)) {
    process.stderr.write(
      'The forge must reach that URL: set COFFERDAM_PUBLIC_URL to the address of this service.\n',
    );
  }
}

async function list({ json }: Json): Promise<void> {
  const all = await withService((client) => client.repositories.list());
  const rows = all.map(({ name, forge, url, events }) => [
    plain(name),
    forge,
    events.join(',') || 'none',
    plain(url),
  ]);
  process.stdout.write(json ? `${JSON.stringify(all)}\n` : table(['NAME', 'FORGE', 'EVENTS', 'URL'], rows));
}

async function change(
  name: string,
  options: RepositoryFlags & Json & { readonly url?: string },
): Promise<void> {
  const patch = {
    ...(options.url !== undefined && { url: options.url }),
    ...(await changeOf(options, secretInput())),
  };
  print(await withService((client) => client.repositories.change(name, patch)), options.json);
}

function print(repository: RepositoryDetails, json: true | undefined): void {
  process.stdout.write(json ? `${JSON.stringify(repository)}\n` : describeRepository(repository));
}

interface RotateOptions extends Json {
  readonly finish?: true;
  readonly replace?: true;
  readonly webhookSecretFile?: string;
}

async function rotate(
  name: string,
  { finish, replace, webhookSecretFile, json }: RotateOptions,
): Promise<void> {
  const secret =
    webhookSecretFile === undefined
      ? undefined
      : withoutNewline(await secretInput().read('--webhook-secret-file', webhookSecretFile));
  const step = finish ? 'finish' : replace ? 'replace' : 'begin';
  const webhook = await withService((client) =>
    client.repositories.changeWebhookSecret(name, { step, ...(secret !== undefined && { secret }) }),
  );
  if (json) process.stdout.write(`${JSON.stringify(webhook)}\n`);
  else if (webhook.secret !== undefined && secret === undefined) process.stdout.write(`${webhook.secret}\n`);
  if (step === 'begin') {
    process.stderr.write(
      `the old secret works too; once the forge has the new one: cofferdam repo rotate-secret ${name} --finish\n`,
    );
  }
}
