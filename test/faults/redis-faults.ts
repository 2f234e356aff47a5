import { start } from '../../runtime/command.ts';
import { archivedRecord } from './invariants.ts';
import { expectationOf, tickingJob } from './job.ts';
import { type Fault, type Scene, wait } from './scene.ts';

/** What is done to Redis, and to the way to it. */
export const redisFaults: readonly Fault[] = [
  {
    id: 'F3',
    title: 'kill -9 of Redis at random moments; it comes back with its append-only file',
    strike: async ({ random, service, load }) => {
      const loading = load(8);
      for (let i = random.between(1, 3); i > 0; i--) {
        await wait(random.between(300, 3_000));
        await service.redis.kill();
        await wait(random.between(0, 2_000));
        await service.redis.restart();
      }
      await loading;
      return { untouched: ['w1', 'w2'] };
    },
  },
  {
    id: 'F4',
    title: 'Redis dies and loses the end of its append-only file',
    strike: async ({ random, service, ledger, load }) => {
      await load(8);
      await wait(random.between(0, 2_000));
      await service.redis.kill();
      service.redis.cutTail(random.between(1, 20_000));
      await service.redis.restart();
      const known = new Set<string>();
      for (const { id } of ledger.entries) {
        const found = await service.redis.handle.client.exists(`${service.redis.handle.prefix}b:${id}`);
        if (found === 1) known.add(id);
      }
      return { forgotten: ({ id }) => !known.has(id), again: true };
    },
  },
  {
    id: 'F5',
    title: 'Redis is away for three times as long as builds are kept for a worker',
    strike: async ({ random, service, load, demand }) => {
      await load(6);
      await service.redis.kill();
      await wait(1_000);
      const began = performance.now();
      const { status } = await fetch(`${service.url}/v1/builds`, bearer(service));
      demand(
        `without Redis the API answers 503 within 1 s, not ${status}`,
        status === 503 && performance.now() - began < 1_000,
      );
      await wait(45_000 + random.between(0, 3_000));
      await service.redis.restart();
      return {};
    },
  },
  {
    id: 'F6',
    title: 'Redis hangs (SIGSTOP), for 5 s and for 30 s',
    strike: async ({ random, service, load, demand }) => {
      const loading = load(6);
      for (const seconds of [5, 30]) {
        await wait(random.between(500, 2_000));
        process.kill(service.redis.pid(), 'SIGSTOP');
        const began = performance.now();
        const { status } = await fetch(`${service.url}/v1/builds`, bearer(service));
        const ms = performance.now() - began;
        demand(
          `with a Redis that hangs the API answers 503 within 1 s, not ${status} in ${ms.toFixed()} ms`,
          status === 503 && ms < 1_000,
        );
        await wait(seconds * 1_000);
        process.kill(service.redis.pid(), 'SIGCONT');
      }
      await loading;
      return {};
    },
  },
  {
    id: 'F7',
    title: 'a worker is cut off from Redis: one way, the other way, both; or connections are reset',
    strike: async ({ random, service, load }) => {
      const loading = load(8);
      await wait(random.between(500, 3_000));
      const [first, second] = service.workers;
      const victim = random.pick([first, second]);
      for (let i = 0; i < 3; i++) {
        victim.link.sever();
        await wait(random.between(0, 500));
      }
      victim.link.block(random.pick(['up', 'down', 'both']));
      await wait(random.pick([3_000, 18_000, 25_000]));
      victim.link.block('none');
      await loading;
      return { untouched: [victim === first ? second.name : first.name] };
    },
  },
  {
    id: 'F12',
    title: 'Redis is full; and one that evicts is refused',
    strike: async (scene) => {
      const { random, service, ledger, demand, load } = scene;
      const { client } = service.redis.handle;
      await load(3);
      const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
      await client.config('SET', 'maxmemory', String(used));
      const refused = await fetch(`${service.url}/v1/builds`, {
        ...bearer(service, { 'content-type': 'application/json' }),
        method: 'POST',
        body: JSON.stringify({ project: 'p', source: { kind: 'none' }, workflow: 'steps: []' }),
      });
      demand(`a full Redis is answered by 503 or 4xx, not ${refused.status}`, refused.status !== 500);
      const submitting = ledger.submit(tickingJob(random, 1));
      await wait(random.between(1_000, 8_000));
      await client.config('SET', 'maxmemory', '0');
      await submitting;
      await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
      for (const name of ['serve', 'worker']) {
        const { code, output } = await startAgainst(scene, name);
        demand(
          `${name} refuses a Redis that evicts, and says so: ${code} ${output}`,
          code !== 0 && output.includes('noeviction'),
        );
      }
      await client.config('SET', 'maxmemory-policy', 'noeviction');
      return { untouched: [] };
    },
  },
  {
    id: 'F13',
    title: 'Redis is made a read-only replica, or lets nobody in any more',
    strike: async ({ random, service, load }) => {
      const { client } = service.redis.handle;
      const loading = load(6);
      await wait(random.between(300, 2_000));
      const downMs = random.pick([3_000, 20_000]);
      if (random.chance(0.5)) {
        await client.replicaof('127.0.0.1', '1');
        await wait(downMs);
        await client.replicaof('NO', 'ONE');
      } else {
        // One connection stays to heal with.
        const healer = service.redis.handle.duplicate('healer');
        await healer.ping();
        await healer.acl('SETUSER', 'default', 'resetpass', '>secret');
        await healer.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        await wait(downMs);
        await healer.acl('SETUSER', 'default', 'nopass');
      }
      await loading;
      return {};
    },
  },
  {
    id: 'F13-flush',
    title: 'FLUSHALL while builds run: loud, nothing invented, and processes can be stopped',
    aftermath: 'lost',
    strike: async ({ random, service, ledger, demand, load }) => {
      await load(4);
      await wait(random.between(0, 2_000));
      await service.redis.handle.client.flushall();
      await wait(5_000);
      const loud = service.workers.some(({ log }) =>
        log.some(({ level, msg }) => level >= 40 && msg.includes('the queue is in trouble')),
      );
      demand('a worker says that the queue is gone', loud);
      for (const { id, job } of ledger.entries) {
        const record = await archivedRecord(service.store, id);
        const right = !record || record.status === expectationOf(job).status;
        demand(`the archive says ${record?.status} of ${id}`, right);
      }
      return {};
    },
  },
];

function bearer({ token }: Scene['service'], headers: Record<string, string> = {}): RequestInit {
  return { headers: { ...headers, authorization: `Bearer ${token}` } };
}

/** Starts a process of ours that is expected to refuse. */
async function startAgainst(
  { service, dataDir }: Scene,
  name: string,
): Promise<{ code: number | null; output: string }> {
  const program = new URL('../../bin/main.ts', import.meta.url).pathname;
  const env = {
    ...process.env,
    COFFERDAM_DATA: dataDir,
    COFFERDAM_LISTEN: '127.0.0.1:0',
    COFFERDAM_REDIS_URL: service.redis.url,
    COFFERDAM_REDIS_PREFIX: service.redis.prefix,
  };
  const child = start(
    { file: process.execPath, args: [program, name], env },
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  child.stderr?.on('data', (text: Buffer) => (output += text.toString()));
  child.stdout?.on('data', (text: Buffer) => (output += text.toString()));
  const { promise, resolve } = Promise.withResolvers<number | null>();
  child.on('close', (code) => resolve(code));
  const patience = setTimeout(() => child.kill('SIGKILL'), 10_000);
  const code = await promise;
  clearTimeout(patience);
  return { code, output: output.trim() };
}
