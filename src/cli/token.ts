import { Command, Option } from 'commander';
import type { Scope } from '../tokens.ts';
import { withService } from './connect.ts';
import { plain, second, table } from './table.ts';

interface Json {
  readonly json?: true;
}

const scopes: readonly Scope[] = ['read', 'submit', 'admin'];

/** `cofferdam token`: who may do what. Needs a token with the scope admin. */
export function command(): Command {
  // Subcommands take this setting over when they are made.
  const token = new Command('token')
    .description('Makes, lists and revokes tokens; needs an admin token.')
    .exitOverride();
  token
    .command('create <name>')
    .description('make a token; it is on stdout, this once')
    .addOption(
      new Option('-s, --scope <scope...>', 'what it may do; admin may do all')
        .choices(scopes)
        .default(['read', 'submit'], 'read submit'),
    )
    .option('-p, --project <name...>', 'for builds of these alone; owner/* for all of an owner')
    .option('--json', 'print one JSON document')
    .action(create);
  token.command('ls').description('list the tokens').option('--json', 'print one JSON document').action(list);
  token
    .command('revoke <id...>')
    .description('make tokens useless from now on')
    .action(async (ids: string[]) => {
      await withService(async (client) => {
        for (const id of ids) await client.revokeToken(id);
      });
    });
  return token;
}

async function create(
  name: string,
  { scope, project, json }: Json & { readonly scope: Scope[]; readonly project?: string[] },
): Promise<void> {
  const wanted = { name, scopes: scope, ...(project && { projects: project }) };
  const token = await withService((client) => client.createToken(wanted));
  process.stdout.write(json ? `${JSON.stringify(token)}\n` : `${token.secret}\n`);
  process.stderr.write(`cofferdam token revoke ${token.id} makes it useless\n`);
}

async function list({ json }: Json): Promise<void> {
  const tokens = await withService((client) => client.tokens());
  const rows = tokens.map(({ id, name, scopes: may, projects, createdAt }) => [
    id,
    plain(name),
    may.join(' '),
    plain(projects?.join(' ') ?? 'all'),
    second(createdAt),
  ]);
  process.stdout.write(
    json ? `${JSON.stringify(tokens)}\n` : table(['ID', 'NAME', 'SCOPES', 'PROJECTS', 'CREATED'], rows),
  );
}
