import { InvalidArgumentError } from 'commander';
import type { Row } from './row.ts';
import { backlog } from './service/backlog.ts';
import { endToEnd } from './service/end-to-end.ts';
import { followers } from './service/followers.ts';
import { history } from './service/history.ts';
import { latency } from './service/latency.ts';
import type { StackOptions } from './service/stack.ts';
import { webhooks } from './service/webhooks.ts';
import { benchCommand, runSession, type SessionOptions } from './session.ts';
import type { Site } from './site.ts';

const figures: Readonly<Record<string, (site: Site, options: StackOptions) => Promise<Row[]>>> = {
  'end-to-end': endToEnd,
  latency,
  backlog,
  followers,
  history,
  webhooks,
};

interface Options extends SessionOptions {
  readonly scale: number;
  readonly profile?: string;
}

await runSession<Options>({
  command: benchCommand(
    'bench:service',
    'Measures the service on this machine: API, queue, worker, Redis and clients together.',
    Object.keys(figures),
  )
    .option('--scale <factor>', 'of everything that is counted; the targets are for 1', scaleOf, 1)
    .option('--profile <directory>', 'write V8 profiles of API and worker there'),
  runs: ({ scale }) => Math.max(1, Math.round(100 * scale)),
  extent: ({ scale }) => ({ scale }),
  measure: async (figure, site, { profile }) => (await figures[figure]?.(site, { profile })) ?? [],
});

function scaleOf(value: string): number {
  const number = Number(value);
  if (!(number > 0)) throw new InvalidArgumentError('a number above 0');
  return number;
}
