import { join } from 'node:path';
import { run } from '../../runtime/command.ts';
import { cofferdam } from '../cofferdam.ts';
import { openDocker } from '../docker-engine.ts';
import type { Contender } from '../greeting.ts';
import type { Row } from '../row.ts';
import type { Site } from '../site.ts';
import { inParallel } from '../turns.ts';
import { cpuMs, machineCpuMs, type Stack, startStack, type StackOptions, untilArchived } from './stack.ts';
import type { SubmitTask } from './submitter.ts';
import { workflowOf } from './submissions.ts';

const clients = 8;
const width = 4;

interface Batch {
  readonly perSecond: number;
  /** Of API, worker and Redis, for each build. */
  readonly cpu: Readonly<Record<'serve' | 'worker' | 'redis', number>>;
  /** Of everything that ran, for each build: also sandboxes, clients, the kernel. */
  readonly machineMs: number;
}

/** From a client's first submit until the last record is in storage; and what that costs beside the sandboxes. */
export async function endToEnd(site: Site, options: StackOptions): Promise<Row[]> {
  const count = Math.max(20, site.runs * 4);
  const rounds = Math.max(3, Math.round(site.runs / 20));
  const alone = await sandboxAlone(site, count);
  const docker = await openDocker(site);
  const dockerPerSecond: number[] = [];
  const stack = await startStack(site, options);
  const batches: Batch[] = [];
  try {
    const worker = await stack.startWorker();
    for (let round = -1; round < rounds; round++) {
      site.stop.throwIfAborted();
      const containers = docker && (await dockerBatch(site, docker));
      if (containers !== undefined && round >= 0) dockerPerSecond.push(containers);
      const batch = await runBatch(site, stack, worker, count);
      if (round >= 0) batches.push(batch);
    }
  } finally {
    await stack.close();
    await docker?.close();
  }
  const sum = ({ cpu }: Batch) => cpu.serve + cpu.worker + cpu.redis;
  const part = (name: keyof Batch['cpu']): Row => ({
    what: `processor time of ${name} for a build`,
    unit: 'ms',
    better: 'less',
    samples: batches.map(({ cpu }) => cpu[name]),
  });
  return [
    {
      what: 'submitted over HTTP to archived, no-op step',
      unit: '/s',
      better: 'more',
      target: 80,
      samples: batches.map(({ perSecond }) => perSecond),
      peers: docker
        ? [{ name: docker.name, samples: dockerPerSecond, target: { kind: 'gain', limit: 10 } }]
        : [],
    },
    {
      what: 'processor time of the service, less the sandbox alone',
      unit: 'ms',
      better: 'less',
      target: 8,
      samples: batches.map((batch) => sum(batch) - alone),
    },
    ...(['serve', 'worker', 'redis'] as const).map(part),
    {
      what: 'processor time of the machine for a build',
      unit: 'ms',
      better: 'less',
      samples: batches.map(({ machineMs }) => machineMs),
    },
    { what: 'processor time of a driver of sandboxes alone', unit: 'ms', better: 'less', samples: [alone] },
  ];
}

async function runBatch(site: Site, stack: Stack, worker: number, count: number): Promise<Batch> {
  const pids = { ...stack.pids, worker };
  const task: SubmitTask = {
    url: stack.url,
    token: stack.token,
    count,
    clients,
    projects: 4,
    workflow: workflowOf(site.image.ref, 'true'),
  };
  const before = { serve: cpuMs(pids.serve), worker: cpuMs(pids.worker), redis: cpuMs(pids.redis) };
  const machineBefore = machineCpuMs();
  const submitMs = await submitAll(task);
  // The clients' process has to start first, which is not part of it.
  const began = performance.now() - submitMs;
  await untilArchived(stack);
  const seconds = (performance.now() - began) / 1000;
  const cpuOf = (name: keyof typeof before) => (cpuMs(pids[name]) - before[name]) / count;
  return {
    perSecond: count / seconds,
    cpu: { serve: cpuOf('serve'), worker: cpuOf('worker'), redis: cpuOf('redis') },
    machineMs: (machineCpuMs() - machineBefore) / count,
  };
}

/** In a process of its own; returns the milliseconds that it took. */
export async function submitAll(task: SubmitTask): Promise<number> {
  const args = [join(import.meta.dirname, 'submitter.ts'), JSON.stringify(task)];
  const { stdout } = await run({ file: process.execPath, args });
  return Number(stdout.toString());
}

/** Processor time of this process for each sandbox that it makes, as the worker does. */
async function sandboxAlone({ driver, image, stop }: Site, count: number): Promise<number> {
  const { greet } = cofferdam(driver, image, 'tmpfs');
  await inParallel(stop, width, width * 4, async () => void (await greet()));
  const before = process.cpuUsage();
  await inParallel(stop, width, count, async () => void (await greet()));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / count;
}

/** Bare containers a second over the Docker API, as many at a time as the worker runs. */
async function dockerBatch({ stop }: Site, docker: Contender): Promise<number> {
  const count = width * 6;
  const began = performance.now();
  await inParallel(stop, width, count, async () => void (await docker.greet()));
  return (count * 1000) / (performance.now() - began);
}
