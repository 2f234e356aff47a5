import { Type } from 'typebox';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';

const labels = Type.Unsafe<Record<string, string>>({
  type: 'object',
  additionalProperties: { type: 'string' },
});
const count = Type.Integer({ minimum: 0 });

const Worker = Type.Object(
  {
    id: Type.String(),
    host: Type.String(),
    version: Type.String(),
    labels,
    slots: Type.Integer({
      minimum: 0,
      description: 'Builds that it runs side by side; 0: it takes none now.',
    }),
    running: count,
  },
  { $id: 'Worker' },
);

const WorkerList = Type.Object({ workers: Type.Array(named(Worker)) }, { $id: 'WorkerList' });

const Queue = Type.Object(
  {
    held: Type.Integer({ minimum: 0, description: 'Waiting for approval.' }),
    delayed: Type.Integer({ minimum: 0, description: 'Not to be started yet.' }),
    waiting: count,
    ready: Type.Integer({ minimum: 0, description: 'Given out, and not taken by a worker yet.' }),
    running: count,
    reports: Type.Integer({
      minimum: 0,
      description: 'Commits whose forge is to be told how their builds fare.',
    }),
    oldestWaitingSince: Type.Optional(Type.String({ format: 'date-time' })),
    lanes: Type.Array(
      Type.Object({ labels, avoids: Type.Optional(Type.String()), waiting: count, projects: count }),
      { description: 'Waiting builds by what they need of a worker.' },
    ),
    projects: Type.Array(Type.Object({ name: Type.String(), waiting: count, active: count }), {
      description: 'Projects with waiting builds, the most waiting first, at most 1,000.',
    }),
  },
  { $id: 'Queue' },
);

export const workerSchemas = [Worker, WorkerList, Queue];

/** `/v1/workers` and `/v1/queue`: who builds, and what waits. */
export function workers(app: App, { queue, reach }: Context): void {
  app.get(
    '/v1/workers',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listWorkers',
        summary: 'List the live workers',
        tags: ['service'],
        response: { 200: named(WorkerList) },
      },
    },
    async () => {
      const stats = await reach(() => queue.stats());
      return { workers: stats.workers.map((worker) => ({ ...worker, labels: { ...worker.labels } })) };
    },
  );

  app.get(
    '/v1/queue',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getQueue',
        summary: 'Say what waits, and for how long',
        tags: ['service'],
        response: { 200: named(Queue) },
      },
    },
    async () => {
      const { workers: _workers, lanes, projects, ...counts } = await reach(() => queue.stats());
      return {
        ...counts,
        lanes: lanes.map((lane) => ({ ...lane, labels: { ...lane.labels } })),
        projects: [...projects],
      };
    },
  );
}
