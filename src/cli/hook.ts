import { Command } from 'commander';
import type { ShownDelivery } from '../api/deliveries.ts';
import { withService } from './connect.ts';
import { size } from './format.ts';
import { plain, second, table } from './table.ts';
import { integerOf } from './words.ts';

interface Json {
  readonly json?: true;
}

/** `cofferdam hook`: what forges delivered. Needs a token with the scope admin. */
export function command(): Command {
  const hook = new Command('hook')
    .description(
      'Shows what forges delivered and what came of it, and builds it again; needs an admin token.',
    )
    .exitOverride();
  hook
    .command('ls [repository]')
    .description('list deliveries, newest first')
    .option('-n, --limit <number>', 'at most so many', '20')
    .option('--json', 'print one JSON document')
    .action(list);
  hook
    .command('show <id>')
    .description('show a delivery')
    .option('--body', 'print its body, as the forge sent it')
    .option('--json', 'print one JSON document')
    .action(show);
  hook
    .command('replay <id>')
    .description('read a delivery again and build it once more; the ids of the builds are on stdout')
    .option('--json', 'print one JSON document')
    .action(replay);
  return hook;
}

async function list(
  repository: string | undefined,
  { limit, json }: Json & { readonly limit: string },
): Promise<void> {
  const most = integerOf('--limit', limit, 1, 1000);
  const deliveries = await withService((client) => client.deliveries({ repository, limit: most }));
  if (json) {
    process.stdout.write(`${JSON.stringify(deliveries)}\n`);
    return;
  }
  const rows = deliveries.map((each) => [
    each.id,
    second(each.receivedAt),
    plain(each.repository),
    plain(each.event ?? '-'),
    plain(resultOf(each)),
  ]);
  process.stdout.write(table(['ID', 'RECEIVED', 'REPOSITORY', 'EVENT', 'RESULT'], rows));
}

async function show(id: string, { body, json }: Json & { readonly body?: true }): Promise<void> {
  await withService(async (client) => {
    if (body) {
      for await (const chunk of await client.deliveryBody(id)) process.stdout.write(chunk);
      return;
    }
    const delivery = await client.delivery(id);
    process.stdout.write(json ? `${JSON.stringify(delivery)}\n` : describe(delivery));
  });
}

async function replay(id: string, { json }: Json): Promise<void> {
  const receipt = await withService((client) => client.replay(id));
  const lines = receipt.builds.map((build) => `${build}\n`).join('');
  process.stdout.write(json ? `${JSON.stringify(receipt)}\n` : lines);
  for (const reason of receipt.ignored) process.stderr.write(`ignored: ${plain(reason)}\n`);
}

function describe(delivery: ShownDelivery): string {
  const facts: readonly (readonly [string, string])[] = [
    ['id', delivery.id],
    ['repository', delivery.repository],
    ['forge', delivery.forge],
    ['event', delivery.event ?? '-'],
    ['received', second(delivery.receivedAt)],
    ['body', size(delivery.bytes)],
    ['status', delivery.status],
    ...delivery.builds.map((build) => ['build', build] as const),
    ...delivery.ignored.map((reason) => ['ignored', reason] as const),
    ...(delivery.message === undefined ? [] : [['message', delivery.message] as const]),
  ];
  return facts.map(([name, value]) => `${name.padEnd(10)}  ${plain(value)}\n`).join('');
}

function resultOf({ status, builds, ignored, message = '' }: ShownDelivery): string {
  if (status === 'pending') return 'pending';
  if (status === 'malformed') return `malformed: ${message}`;
  return builds.length > 0 ? builds.join(' ') : `ignored: ${ignored.join('; ')}`;
}
