import { ulid } from 'ulid';
import type { BuildRecord } from '../../src/build.ts';
import { restoreScript } from '../../src/records/scripts.ts';
import { type BuildSpec, queuedRecord } from '../../src/spec.ts';
import type { Row } from '../row.ts';
import type { Site } from '../site.ts';
import { p99 } from '../statistics.ts';
import { takeTurns } from '../turns.ts';
import { ask, keepAlive } from './http.ts';
import { type Stack, startStack, type StackOptions } from './stack.ts';

/** As good as empty: enough for one page, so that both answer with as much. */
const little = 200;
/** Of the short history each is in one page as well. */
const projects = 8;
const branches = 20;
const fillMs = 480_000;
const day = 86_400_000;

/** Lists and single builds with a long history, beside a short one; each sample is the p99 of 100 requests. */
export async function history(site: Site, options: StackOptions): Promise<Row[]> {
  const short = await startStack(site, options);
  const long = await startStack(site, options);
  try {
    const few = { stack: short, ids: await fill(short, little) };
    const many = { stack: long, ids: await fill(long, Math.max(1000, site.runs * 10_000)) };
    const rows: Row[] = [];
    for (const [what, pathOf] of Object.entries(requests)) {
      const batches = Math.max(10, site.runs / 5);
      const [before = [], after = []] = await takeTurns(
        site.stop,
        batches,
        [few, many].map((past) => () => batchP99(past, pathOf)),
      );
      const target = { kind: 'cost', limit: 2 } as const;
      rows.push({
        what: `${what}, p99, ${many.ids.length} finished builds`,
        unit: 'ms',
        better: 'less',
        samples: after,
        peers: [{ name: `with ${little} builds`, samples: before, target }],
      });
    }
    return rows;
  } finally {
    await short.close();
    await long.close();
  }
}

interface Past {
  readonly stack: Stack;
  readonly ids: readonly string[];
}

const requests: Readonly<Record<string, (past: Past) => string>> = {
  list: () => '/v1/builds',
  'list of a project': () => '/v1/builds?project=project-1',
  'list by status': () => '/v1/builds?status=failed',
  'list from the middle': () =>
    `/v1/builds?before=${encodeURIComponent(new Date(Date.now() - day * 100).toISOString())}`,
  show: ({ ids }) => `/v1/builds/${ids[Math.floor(Math.random() * ids.length)] ?? ''}`,
};

async function batchP99(past: Past, pathOf: (past: Past) => string): Promise<number> {
  const agent = keepAlive();
  const times: number[] = [];
  for (let i = 0; i < 101; i++) {
    const began = performance.now();
    await ask(past.stack, agent, pathOf(past));
    // The first one opens the connection.
    if (i > 0) times.push(performance.now() - began);
  }
  agent.destroy();
  return p99(times, 'less');
}

/** Finished builds as the archive leaves them in Redis, over the last year; as many as there is time for. */
async function fill({ redis: { client, prefix } }: Stack, count: number): Promise<string[]> {
  const ids: string[] = [];
  const deadline = performance.now() + fillMs;
  while (ids.length < count && performance.now() < deadline) {
    const size = Math.min(2_000, count - ids.length);
    await Promise.all(
      Array.from({ length: size }, (_, i) => {
        const number = ids.length + i;
        const id = ulid(Date.now() - day * 365 + Math.floor((number / count) * day * 365));
        ids.push(id);
        const { project, record, spec, ref } = finished(id, number);
        const args = [JSON.stringify(record), JSON.stringify(spec), 'archived', record.status, 1, project];
        return restoreScript.run(
          client,
          [prefix],
          [id, ...args, `i:b:${project}:${ref}`, `builds/${id}/`, number + 1],
        );
      }),
    );
  }
  return ids;
}

function finished(id: string, number: number) {
  const project = `project-${number % projects}`;
  const ref = `branch-${number % branches}`;
  const status = number % 7 === 0 ? 'failed' : 'passed';
  const spec: BuildSpec = {
    id,
    project,
    environment: {},
    priority: 5,
    labels: {},
    trigger: { kind: 'manual' },
    trust: 'trusted',
    requestedBy: id,
    source: { kind: 'upload', digest: 'a'.repeat(64), bytes: 1000, ref },
  };
  const at = new Date().toISOString();
  const record: BuildRecord = {
    ...queuedRecord(spec),
    status,
    attempt: 1,
    startedAt: at,
    finishedAt: at,
    workflows: [
      { name: 'ci', status, steps: [{ name: 'test', status, exitCode: 0, startedAt: at, finishedAt: at }] },
    ],
    attempts: [{ attempt: 1, worker: 'bench', startedAt: at, finishedAt: at, status }],
    storage: { prefix: `builds/${id}/attempts/1/` },
  };
  return { project, ref, spec, record };
}
