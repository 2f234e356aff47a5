import { randomJob, tickingJob } from './job.ts';
import { Queue } from 'bullmq';
import { type Fault, runningOn, wait } from './scene.ts';

/** A worker was killed twice under the build: that is not to be told from a build that kills workers. */
const lostTwice = ({ reason, attempts = [] }: { reason?: string; attempts?: readonly unknown[] }) =>
  reason === 'worker-lost' && attempts.length >= 2;

/** What is done to workers: killed, stopped, asked to leave, fooled. */
export const workerFaults: readonly Fault[] = [
  {
    id: 'F1',
    title: 'kill -9 of a worker at a random moment, of both at times',
    strike: async ({ random, service, load }) => {
      const loading = load(10);
      const both = random.chance(0.25);
      await wait(random.between(300, 6_000));
      const victim = random.pick(service.workers);
      victim.signal('SIGKILL');
      if (both) for (const worker of service.workers) worker.signal('SIGKILL');
      await loading;
      const untouched = service.workers.filter((worker) => !both && worker !== victim);
      return { untouched: untouched.map(({ name }) => name) };
    },
  },
  {
    id: 'F8',
    title: 'a worker is stopped (SIGSTOP) for longer than its builds are kept for it, then goes on',
    strike: async ({ random, service, load }) => {
      const loading = load(8);
      await wait(random.between(500, 3_000));
      const [first, second] = service.workers;
      const victim = random.pick([first, second]);
      victim.signal('SIGSTOP');
      await wait(random.between(16_000, 24_000));
      victim.signal('SIGCONT');
      await loading;
      return { untouched: [victim === first ? second.name : first.name] };
    },
  },
  {
    id: 'F9',
    title: 'an event loop is blocked for some seconds, again and again (SIGSTOP stands in)',
    strike: async ({ random, service, load }) => {
      const loading = load(8);
      for (let i = 0; i < 4; i++) {
        await wait(random.between(300, 1_500));
        const victim = random.pick(service.workers);
        victim.signal('SIGSTOP');
        await wait(random.between(1_000, 9_000));
        victim.signal('SIGCONT');
      }
      await loading;
      return {};
    },
  },
  {
    id: 'F10',
    title: 'running builds are handed out a second time, by hand',
    strike: async ({ random, service, ledger, load }) => {
      await load(6);
      const { client, prefix } = service.redis.handle;
      const queue = new Queue('builds', {
        connection: service.redis.handle.duplicate('by-hand'),
        prefix: `${prefix}bull`,
      });
      for (const { id } of ledger.entries) {
        const n = await client.hget(`${prefix}b:${id}`, 'n');
        await client.del(`${prefix}bull:builds:${id}.${n}:lock`);
        await queue.add('build', {}, { jobId: `${id}.${n}.again` });
        await wait(random.between(0, 300));
      }
      await queue.close();
      return { untouched: ['w1', 'w2'] };
    },
  },
  {
    id: 'F21',
    title: 'a worker is drained: SIGTERM with short and long builds; a second one; kill -9 at last',
    strike: async (scene) => {
      const { random, ledger, load } = scene;
      const long = await ledger.submit(tickingJob(random, random.between(8, 14)));
      const loading = load(6);
      const victim = await runningOn(scene, long);
      await wait(random.between(200, 2_000));
      const way = random.pick(['grace', 'again', 'kill']);
      victim?.signal('SIGTERM');
      if (way === 'again') {
        await wait(random.between(50, 2_000));
        victim?.signal('SIGTERM');
      }
      if (way === 'kill') {
        await wait(random.between(500, 4_000));
        victim?.signal('SIGKILL');
      }
      await loading;
      return { canceled: ({ message = '' }) => way === 'again' && message.includes('told to stop at once') };
    },
  },
  {
    id: 'F21-away',
    title: 'workers are told to end, at times twice, while Redis is away',
    strike: async ({ random, service, load, demand }) => {
      await load(4);
      await wait(random.between(0, 2_000));
      const before = service.workers.map((worker) => worker.pid());
      await service.redis.kill();
      await wait(random.between(0, 12_000));
      const times = random.pick([1, 2]);
      for (let i = 0; i < times; i++) for (const worker of service.workers) worker.signal('SIGTERM');
      await wait(30_000);
      const ended = service.workers.every((worker, i) => worker.pid() !== before[i]);
      demand('a worker ends within its grace time and 15 s, with or without Redis', ended);
      await service.redis.restart();
      return { canceled: ({ message = '' }) => times === 2 && message.includes('told to stop at once') };
    },
  },
  {
    id: 'F24',
    title: 'a build that kills its worker each time',
    strike: async (scene) => {
      const { random, ledger, load } = scene;
      const poison = await ledger.submit({ ...tickingJob(random, 20), project: 'poison' });
      let deaths = 0;
      for (let victim = await runningOn(scene, poison); victim; victim = await runningOn(scene, poison)) {
        await wait(random.between(100, 1_000));
        if (poison.verdicts.size > 0) break;
        victim.signal('SIGKILL');
        deaths++;
        // Until others have noticed, the record still says that it runs there.
        const { attempt = 0 } = poison.last ?? {};
        while ((poison.last?.attempt ?? 0) === attempt && poison.verdicts.size === 0) await wait(100);
      }
      scene.demand(`the build ends after 2 workers died, not ${deaths}`, deaths === 2);
      scene.demand(
        `the build ends as errored/worker-lost, not ${[...poison.verdicts].join()}`,
        poison.verdicts.has('errored/worker-lost'),
      );
      await load(4);
      return { errored: ({ project, ...record }) => project === 'poison' && lostTwice(record) };
    },
  },
  {
    id: 'F30',
    title: 'builds are canceled in every phase, and as they finish',
    strike: async ({ random, service, ledger }) => {
      const canceling: Promise<void>[] = [];
      for (let i = 0; i < 14; i++) {
        const entry = await ledger.submit(random.chance(0.5) ? tickingJob(random, 3) : randomJob(random));
        if (random.chance(0.2)) continue;
        entry.canceled = true;
        const cancel = async (afterMs: number) => {
          await wait(afterMs);
          await service.client.cancel(entry.id);
        };
        canceling.push(cancel(random.between(0, 4_000)));
        if (random.chance(0.3)) canceling.push(cancel(random.between(0, 4_000)));
        await wait(random.between(0, 200));
      }
      await Promise.all(canceling);
      return { untouched: ['w1', 'w2'] };
    },
    drainMs: 60_000,
  },
];
