import { type Static, Type } from 'typebox';
import { parseCronJob } from '../crons/job.ts';
import { CronJobError } from '../crons/schedule.ts';
import type { CronPlace } from '../crons/scheduler.ts';
import type { Token } from '../tokens.ts';
import { tokenOf } from './auth.ts';
import { CronList, CronRequest, CronSchema, type ShownCron, shownCron } from './cron-job.ts';
import { Problem } from './problem.ts';
import { Build, publicRecord } from './record.ts';
import { knownRepository } from './repositories.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';

const CronPath = Type.Object({
  repository: Type.String({ description: 'Name of the repository.' }),
  name: Type.String({ description: 'Name of the cron job.' }),
});

/** The same with the slashes of the repository's name as they are: a cron job's name has none. */
const RawPath = Type.Object({ '*': Type.String() });

const running = '/run';

/** `/v1/crons`: builds at set times. */
export function crons(app: App, context: Context): void {
  const { crons: service, repositories, reach } = context;

  app.get(
    '/v1/crons',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listCrons',
        summary: 'List cron jobs with their next runs, by repository and name',
        tags: ['repositories'],
        querystring: Type.Object(
          { repository: Type.Optional(Type.String({ description: 'Only those of a repository.' })) },
          { additionalProperties: false },
        ),
        response: { 200: named(CronList) },
      },
    },
    async ({ query: { repository } }) => {
      const all =
        repository === undefined
          ? await reach(() => repositories.list())
          : [await knownRepository(context, repository)];
      return { crons: all.flatMap((each) => each.crons.map((job) => shownCron(each.name, job))) };
    },
  );

  const put = async (path: CronPlace, request: Static<typeof CronRequest>): Promise<ShownCron> => {
    const { name: repository } = await knownRepository(context, path.repository);
    const job = orProblem(() => parseCronJob(path.name, request));
    await service.put(repository, job);
    return shownCron(repository, job);
  };
  app.put(
    '/v1/crons/:repository/:name',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'putCron',
        summary: 'Make or replace a cron job',
        tags: ['repositories'],
        params: CronPath,
        body: named(CronRequest),
        response: { 200: named(CronSchema) },
      },
    },
    ({ params, body }) => put(params, body),
  );
  app.put(
    '/v1/crons/*',
    { config: { access: 'admin' }, schema: { hide: true, params: RawPath, body: named(CronRequest) } },
    ({ params, body }) => put(rawPlace(params['*']), body),
  );

  const remove = async (path: CronPlace): Promise<null> => {
    const { name: repository } = await knownRepository(context, path.repository);
    await service.remove({ ...path, repository });
    return null;
  };
  app.delete(
    '/v1/crons/:repository/:name',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'removeCron',
        summary: 'Remove a cron job; its builds stay',
        tags: ['repositories'],
        params: CronPath,
        response: { 204: Type.Null({ description: 'It is gone.' }) },
      },
    },
    async ({ params }, reply) => reply.code(204).send(await remove(params)),
  );
  app.delete(
    '/v1/crons/*',
    { config: { access: 'admin' }, schema: { hide: true, params: RawPath } },
    async ({ params }, reply) => reply.code(204).send(await remove(rawPlace(params['*']))),
  );

  const run = async (path: CronPlace, token: Token) => {
    const { name: repository } = await knownRepository(context, path.repository);
    return await reach(() => service.run({ ...path, repository }, token));
  };
  app.post(
    `/v1/crons/:repository/:name${running}`,
    {
      config: { access: 'submit' },
      schema: {
        operationId: 'runCron',
        summary: 'Build now what a cron job builds; its schedule stays',
        tags: ['repositories'],
        params: CronPath,
        response: { 202: named(Build, 'The new build; Location is its address.') },
      },
    },
    async (request, reply) => {
      const record = await run(request.params, tokenOf(request));
      return reply.code(202).header('location', `/v1/builds/${record.id}`).send(publicRecord(record));
    },
  );
  app.post(
    '/v1/crons/*',
    { config: { access: 'submit' }, schema: { hide: true, params: RawPath } },
    async (request, reply) => {
      const path = request.params['*'];
      if (!path.endsWith(running)) return reply.callNotFound();
      const record = await run(rawPlace(path.slice(0, -running.length)), tokenOf(request));
      return reply.code(202).header('location', `/v1/builds/${record.id}`).send(publicRecord(record));
    },
  );
}

function rawPlace(path: string): CronPlace {
  const at = path.lastIndexOf('/');
  return { repository: path.slice(0, Math.max(at, 0)), name: path.slice(at + 1) };
}

function orProblem<Result>(call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof CronJobError)) throw error;
    const { field, message } = error;
    const place = field === 'name' ? { parameter: field } : { pointer: `#/${field}` };
    throw new Problem(400, 'there cannot be such a cron job', {
      places: [{ ...place, detail: message }],
      cause: error,
    });
  }
}
