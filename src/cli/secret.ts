import { Command, Option } from 'commander';
import type { Secret, SecretScope } from '../secrets.ts';
import type { Trigger } from '../trigger.ts';
import { UsageError } from '../usage.ts';
import { withService } from './connect.ts';
import { secretInput, withoutNewline } from './secret-input.ts';
import { plain, second, table } from './table.ts';
import { collectWords } from './words.ts';

interface Owner {
  readonly repo?: string;
  readonly org?: string;
}

interface Json {
  readonly json?: true;
}

const triggers: readonly Trigger['kind'][] = ['manual', 'push', 'tag', 'pull_request', 'cron'];

/** `cofferdam secret`: what trusted builds may have. */
export function command(): Command {
  // Subcommands take this setting over when they are made.
  const secret = new Command('secret')
    .description('Sets, lists and removes secrets of repositories and organizations.')
    .exitOverride();
  owned(secret.command('set <name>'))
    .summary('make or replace a secret; its value comes from stdin or a file')
    .description(
      'Makes or replaces a secret. Its value is read from stdin (on a terminal it is asked for, and not shown) or from ' +
        '--file; one newline at its end is left out. Steps that name it by from_secret get it, in trusted builds only.',
    )
    .addOption(
      new Option('-t, --trigger <kinds>', `only for builds of these: ${triggers.join(',')}`)
        .argParser(collectWords('--trigger', triggers))
        .default([], 'all'),
    )
    .option('-f, --file <file>', 'read the value from a file', '-')
    .option('--json', 'print one JSON document')
    .action(set);
  owned(secret.command('ls'))
    .description('list secrets, without their values; default: those of all')
    .option('--json', 'print one JSON document')
    .action(list);
  owned(secret.command('rm <name>')).description('remove a secret').action(remove);
  return secret;
}

const owned = (subcommand: Command) =>
  subcommand
    .option('-r, --repo <name>', 'of a repository')
    .option('-o, --org <name>', 'of all repositories whose names begin with NAME/');

async function set(
  name: string,
  options: Owner & Json & { readonly trigger: Trigger['kind'][]; readonly file: string },
): Promise<void> {
  const scope = scopeOf(options);
  const text = await secretInput().read(options.file === '-' ? `value of ${name}` : '--file', options.file);
  const value = withoutNewline(text);
  if (value !== text) process.stderr.write('left out the newline at the end\n');
  const secret = await withService((client) =>
    client.secrets.put({ name, scope, triggers: options.trigger }, value),
  );
  if (options.json) process.stdout.write(`${JSON.stringify(secret)}\n`);
  else process.stderr.write(`set ${name} of ${scope.kind} ${scope.name}\n`);
}

async function list({ json, ...owner }: Owner & Json): Promise<void> {
  const scope = owner.repo === undefined && owner.org === undefined ? undefined : scopeOf(owner);
  const secrets = await withService((client) => client.secrets.list(scope));
  process.stdout.write(
    json ? `${JSON.stringify(secrets)}\n` : table(['NAME', 'OF', 'TRIGGERS', 'SET'], secrets.map(row)),
  );
}

function row({ name, scope, triggers: kinds, updatedAt }: Secret): string[] {
  const owner = scope.kind === 'repository' ? scope.name : `${scope.name}/*`;
  return [name, plain(owner), kinds.join(',') || 'all', second(updatedAt)];
}

async function remove(name: string, owner: Owner): Promise<void> {
  const scope = scopeOf(owner);
  await withService((client) => client.secrets.remove(scope, name));
}

function scopeOf({ repo, org }: Owner): SecretScope {
  if (repo !== undefined && org === undefined) return { kind: 'repository', name: repo };
  if (org !== undefined && repo === undefined) return { kind: 'organization', name: org };
  throw new UsageError('say whose secret it is: --repo NAME, or --org NAME');
}
