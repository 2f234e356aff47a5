import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../row.ts';
import type { Site } from '../site.ts';
import { submitAll } from './end-to-end.ts';
import { ask, keepAlive } from './http.ts';
import { startStack, type StackOptions } from './stack.ts';
import { submissionOf, workflowOf } from './submissions.ts';

const projects = 200;
const MiB = 1024 ** 2;

/** A long queue of many projects, then one build of a new one. */
export async function backlog(site: Site, options: StackOptions): Promise<Row[]> {
  const count = Math.max(projects, site.runs * 1000);
  const workflow = workflowOf(site.image.ref, 'true');
  const stack = await startStack(site, options);
  const { client, prefix } = stack.redis;
  const usedBytes = async () => Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
  try {
    const before = await usedBytes();
    const ms = await submitAll({ ...stack, count, clients: 32, projects, workflow });
    const used = (await usedBytes()) - before;

    const agent = keepAlive();
    const body = JSON.stringify(submissionOf('newcomer', workflow));
    const { id }: { id: string } = JSON.parse(await ask(stack, agent, '/v1/builds', { body }));
    agent.destroy();
    await stack.startWorker();
    while ((await client.hget(`${prefix}b:${id}`, 'status')) === 'queued') {
      site.stop.throwIfAborted();
      await sleep(2);
    }
    const begun = count - (await client.zcard(`${prefix}i:s:queued`));
    // Nothing is to be waited for: the rest of the queue is thrown away.
    await client.flushall();
    return [
      {
        what: `${count} builds of ${projects} projects: submits`,
        unit: '/s',
        better: 'more',
        target: 2000,
        samples: [(count * 1000) / ms],
      },
      {
        what: 'memory of Redis for them',
        unit: 'MiB',
        better: 'less',
        target: 400 / 1.048_576,
        samples: [used / MiB],
      },
      {
        what: 'rounds of all projects until a new one begins',
        unit: 'rounds',
        better: 'less',
        target: 2,
        samples: [begun / projects],
      },
    ];
  } finally {
    await stack.close();
  }
}
