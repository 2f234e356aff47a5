import { setTimeout as sleep } from 'node:timers/promises';
import { eventsOf } from '../../src/client/sse.ts';
import type { Row } from '../row.ts';
import type { Site } from '../site.ts';
import { p99 } from '../statistics.ts';
import { ask, keepAlive, send } from './http.ts';
import { startStack, type StackOptions } from './stack.ts';
import { submissionOf, workflowOf } from './submissions.ts';

/** The service has nothing to do in between. */
const restMs = 150;

/** From the submit to the first byte of the log at a client that follows, on a service that was idle. */
export async function latency(site: Site, options: StackOptions): Promise<Row[]> {
  const stack = await startStack(site, options);
  const agent = keepAlive();
  const body = JSON.stringify(submissionOf('latency', workflowOf(site.image.ref, 'true')));
  const samples: number[] = [];
  try {
    await stack.startWorker();
    for (let i = -10; i < site.runs * 2; i++) {
      site.stop.throwIfAborted();
      const began = performance.now();
      const { id }: { id: string } = JSON.parse(await ask(stack, agent, '/v1/builds', { body }));
      const headers = { accept: 'text/event-stream' };
      const stream = await send(stack, agent, `/v1/builds/${id}/logs`, { headers });
      let first: number | undefined;
      for await (const { type } of eventsOf(stream)) if (type === 'log') first ??= performance.now() - began;
      if (first === undefined) throw new Error(`build ${id} has no log`);
      if (i >= 0) samples.push(first);
      await sleep(restMs);
    }
  } finally {
    agent.destroy();
    await stack.close();
  }
  const row = { unit: 'ms', better: 'less' } as const;
  return [
    { ...row, what: 'submit to first log byte at an SSE client, idle', samples, target: 40 },
    { ...row, what: 'the same, p99', samples: [p99(samples, 'less')], target: 150 },
  ];
}
