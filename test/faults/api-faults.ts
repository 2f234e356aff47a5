import { request, type IncomingMessage } from 'node:http';
import { eventsOf } from '../../src/client/sse.ts';
import { expectationOf, submissionOf, tickingJob } from './job.ts';
import { type Fault, type Scene, wait } from './scene.ts';

/** What is done to the API and to those who read from it. */
export const apiFaults: readonly Fault[] = [
  {
    id: 'F2',
    title: 'kill -9 of the API around submits; the same key again makes no second build',
    strike: async ({ random, service, ledger, load, demand }) => {
      const loading = Promise.all([load(8), load(8)]);
      for (let i = 0; i < 4; i++) {
        await wait(random.between(50, 1_500));
        service.api.signal('SIGKILL');
      }
      await loading;
      for (const { id, key, job } of ledger.entries) {
        const again = await service.client.submit(submissionOf(job), key);
        demand(`the same key gives the same build ${id}, not ${again.id}`, again.id === id);
      }
      const listed = await Array.fromAsync(service.client.builds({}));
      demand(
        `${ledger.entries.length} keys made as many builds, not ${listed.length}`,
        listed.length === ledger.entries.length,
      );
      return { untouched: ['w1', 'w2'] };
    },
  },
  {
    id: 'F23',
    title: '100 followers: some drop and come back with Last-Event-ID, some never read',
    strike: async (scene) => {
      const { random, service, ledger, demand } = scene;
      const job = { ...tickingJob(random, 6), lines: 60_000, burst: 1_000 };
      const { id } = await ledger.submit(job);
      const expected = expectationOf(job).log;
      const idle: IncomingMessage[] = [];
      const followers = Array.from({ length: 100 }, async (_, i) => {
        if (i % 10 === 0) return void idle.push(await openStream(scene, id, undefined));
        const drops = i % 3 === 0 ? random.between(1, 4) : 0;
        const got = await followDropping(scene, id, drops);
        demand(
          `follower ${i} gets every byte once, in order (${got.length} of ${expected.length})`,
          got.equals(expected),
        );
        return undefined;
      });
      await Promise.all(followers);
      for (const stream of idle) stream.destroy();
      const { status } = await service.client.build(id);
      demand(`readers that do not read hold up no build (${status})`, status === 'passed');
      return { untouched: ['w1', 'w2'] };
    },
  },
];

async function openStream(
  { service }: Scene,
  id: string,
  lastEventId: string | undefined,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = {
    accept: 'text/event-stream',
    authorization: `Bearer ${service.token}`,
    ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
  };
  const sent = request(`${service.url}/v1/builds/${id}/logs`, { headers, agent: false }, resolve);
  sent.on('error', reject);
  sent.end();
  return promise;
}

/** Reads to the end, and drops the connection so many times on the way. Trusts the ids alone. */
async function followDropping(scene: Scene, id: string, drops: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let lastEventId: string | undefined;
  for (let left = drops; ; left--) {
    const stream = await openStream(scene, id, lastEventId);
    let events = 0;
    for await (const event of eventsOf(stream)) {
      if (event.lastEventId !== '') lastEventId = event.lastEventId;
      if (event.type === 'end') return Buffer.concat(chunks);
      if (event.type !== 'log') continue;
      const { text, base64 = '' }: { text?: string; base64?: string } = JSON.parse(event.data);
      chunks.push(text === undefined ? Buffer.from(base64, 'base64') : Buffer.from(text));
      if (left > 0 && ++events >= 3) break;
    }
    stream.destroy();
  }
}
