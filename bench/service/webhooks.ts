import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../row.ts';
import type { Site } from '../site.ts';
import { inParallel } from '../turns.ts';
import { ask, keepAlive } from './http.ts';
import { type Stack, startStack, type StackOptions } from './stack.ts';

/** Bytes of a push of some commits, as GitHub tells of it. */
const payloadBytes = 8192;
const connections = 50;
const restMs = 20;

/** From a forge's delivery to the answer that its build is queued: one at a time, and in a burst where each comes twice. */
export async function webhooks(site: Site, options: StackOptions): Promise<Row[]> {
  const count = Math.max(20, site.runs * 20);
  const stack = await startStack(site, options);
  const agent = keepAlive();
  try {
    const deliver = await register(stack, agent);
    const samples: number[] = [];
    for (let i = -20; i < site.runs * 2; i++) {
      site.stop.throwIfAborted();
      const began = performance.now();
      await deliver(`single-${i}`, randomUUID());
      if (i >= 0) samples.push(performance.now() - began);
      await sleep(restMs);
    }
    const before = await queued(stack);
    const ids = Array.from({ length: count }, () => randomUUID());
    const began = performance.now();
    await inParallel(site.stop, connections, count * 2, async (i) => {
      await deliver(`burst-${i % count}`, ids[i % count] ?? '');
    });
    const perSecond = (count * 2 * 1000) / (performance.now() - began);
    const made = (await queued(stack)) - before;
    if (made !== count) throw new Error(`${count} deliveries, each sent twice, made ${made} builds`);
    return [
      { what: 'webhook to build queued and answered, idle', unit: 'ms', better: 'less', target: 10, samples },
      {
        what: `${count} webhooks, each twice, on ${connections} connections: answered, each built once`,
        unit: '/s',
        better: 'more',
        samples: [perSecond],
      },
    ];
  } finally {
    agent.destroy();
    await stack.close();
  }
}

/** A repository of GitHub. Returns what delivers a push to a branch of it; throws unless the answer is a success. */
async function register(stack: Stack, agent: ReturnType<typeof keepAlive>) {
  const secret = randomBytes(32).toString('base64url');
  const repository = {
    url: 'https://github.com/octo/hello',
    forge: 'github',
    name: 'hello',
    webhookSecret: secret,
  };
  await ask(stack, agent, '/v1/repos', { body: JSON.stringify(repository) });
  const sha = 'a'.repeat(40);
  return async (branch: string, id: string): Promise<void> => {
    const body = JSON.stringify({
      ref: `refs/heads/${branch}`,
      before: '0'.repeat(40),
      after: sha,
      head_commit: { id: sha, message: 'Say hello' },
      repository: { full_name: 'octo/hello' },
      padding: 'x'.repeat(payloadBytes),
    });
    const signature = createHmac('sha256', secret).update(body).digest('hex');
    await ask(stack, agent, '/v1/hooks/github/hello', {
      body,
      headers: {
        'x-github-event': 'push',
        'x-github-delivery': id,
        'x-hub-signature-256': `sha256=${signature}`,
      },
    });
  };
}

async function queued({ redis: { client, prefix } }: Stack): Promise<number> {
  return await client.zcard(`${prefix}i:s:queued`);
}
