import { createHash } from 'node:crypto';
import { Type } from 'typebox';
import { isFor, type Token } from '../tokens.ts';
import { outside, tokenOf } from './auth.ts';
import { Problem, problemResponse } from './problem.ts';
import { Build, publicRecord, Status } from './record.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';

/** The id of a build in a path. Not held to its pattern: what is no id is an unknown one, 404. */
export const BuildPath = Type.Object({ id: Type.String({ description: 'ULID of the build.' }) });

/** A page of builds, newest first. */
export const BuildPage = Type.Object(
  {
    builds: Type.Array(named(Build)),
    next: Type.Optional(Type.String({ description: 'The cursor of the next page, when there is one.' })),
  },
  { $id: 'BuildPage' },
);

const instant = (description: string) => Type.Optional(Type.String({ format: 'date-time', description }));

const ListQuery = Type.Object(
  {
    project: Type.Optional(Type.String()),
    branch: Type.Optional(Type.String({ description: 'The ref of the source; needs `project`.' })),
    status: Type.Optional(Type.Enum(Status.enum, { type: 'string' })),
    before: instant('Created before.'),
    after: instant('Created after.'),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 25 })),
    cursor: Type.Optional(Type.String({ maxLength: 200 })),
  },
  { additionalProperties: false },
);

const read = { config: { access: 'read', limited: 'by-project' } } as const;
const submit = { config: { access: 'submit', limited: 'by-project' } } as const;

/** `/v1/builds`: lists, single builds, cancel, approve and retry. Making one is in submit.ts. */
export function builds(app: App, { records, queue, reach }: Context): void {
  app.get(
    '/v1/builds',
    {
      ...read,
      schema: {
        operationId: 'listBuilds',
        summary: 'List builds, newest first',
        tags: ['builds'],
        querystring: ListQuery,
        response: { 200: named(BuildPage) },
      },
    },
    async (request, reply) => {
      const { limit = 25, cursor, ...asked } = request.query;
      const filter = listedBy(tokenOf(request), asked);
      if (filter.branch !== undefined && filter.project === undefined) {
        throw new Problem(400, 'a branch is one of a project', {
          places: [{ parameter: 'project', detail: 'is missing' }],
        });
      }
      const page = await reach(() =>
        records.list(filter, { limit, ...(cursor !== undefined && { cursor }) }),
      );
      if (page.next !== undefined) {
        const query = new URLSearchParams({ ...filter, limit: String(limit), cursor: page.next });
        reply.header('link', `</v1/builds?${query.toString()}>; rel="next"`);
      }
      return { ...page, builds: page.builds.map(publicRecord) };
    },
  );

  app.get(
    '/v1/builds/:id',
    {
      ...read,
      schema: {
        operationId: 'getBuild',
        summary: 'Show a build; while it is queued, also why it waits',
        tags: ['builds'],
        params: BuildPath,
        response: { 200: named(Build), 304: Type.Null({ description: 'Not changed since If-None-Match.' }) },
      },
    },
    async (request, reply) => {
      const { record } = await knownBuild({ records, reach }, request.params.id, tokenOf(request));
      const waiting = record.status === 'queued' ? await reach(() => queue.why(record.id)) : undefined;
      const build = { ...publicRecord(record), ...(waiting !== undefined && { waiting }) };
      const etag = `"${createHash('sha256').update(JSON.stringify(build)).digest('base64url')}"`;
      reply.header('etag', etag).header('cache-control', 'no-cache');
      if (isFresh(request.headers['if-none-match'], etag)) return reply.code(304).send(null);
      return reply.send(build);
    },
  );

  app.post(
    '/v1/builds/:id/cancel',
    {
      ...submit,
      schema: {
        operationId: 'cancelBuild',
        summary: 'Cancel a build; one that is finished stays as it is',
        tags: ['builds'],
        params: BuildPath,
        response: {
          200: named(Build, 'The build is finished, by this call or before it.'),
          202: named(Build, 'The build runs and was told to end.'),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      await knownBuild({ records, reach }, id, tokenOf(request));
      const outcome = await reach(() => queue.cancel(id));
      const { record } = await knownBuild({ records, reach }, id, tokenOf(request));
      return reply.code(outcome === 'canceling' ? 202 : 200).send(publicRecord(record));
    },
  );

  app.post(
    '/v1/builds/:id/approve',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'approveBuild',
        summary: 'Let a held build run; one that was approved before stays as it is',
        tags: ['builds'],
        params: BuildPath,
        response: { 200: named(Build), 409: problemResponse('It does not wait for approval, or has ended.') },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      await knownBuild({ records, reach }, id, tokenOf(request));
      await reach(() => queue.approve(id, tokenOf(request).name));
      const { record } = await knownBuild({ records, reach }, id, tokenOf(request));
      return reply.send(publicRecord(record));
    },
  );

  app.post(
    '/v1/builds/:id/retry',
    {
      ...submit,
      schema: {
        operationId: 'retryBuild',
        summary: 'Build the same commit or upload again, as a new build',
        tags: ['builds'],
        params: BuildPath,
        response: { 202: named(Build, 'The new build; Location is its address.') },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      await knownBuild({ records, reach }, id, tokenOf(request));
      const record = await reach(() => queue.retry(id, tokenOf(request).id));
      return reply.code(202).header('location', `/v1/builds/${record.id}`).send(publicRecord(record));
    },
  );
}

/** The filter of a list, as far as the token goes. Throws Problem (403). */
function listedBy<F extends { project?: string }>(token: Token, asked: F): F {
  const [only, ...others] = token.projects ?? [];
  if (only === undefined) return asked;
  const project = asked.project ?? (others.length === 0 && !only.endsWith('/*') ? only : undefined);
  if (project === undefined) throw outside(token, 'name one of them: ?project=');
  if (!isFor(token, project)) throw outside(token, `${JSON.stringify(project)} is none of them`);
  return { ...asked, project };
}

/** A build by its id, when the token is for its project. Throws Problem (404): of others it does not say that they are. */
export async function knownBuild(
  { records, reach }: Pick<Context, 'records' | 'reach'>,
  id: string,
  token: Token,
) {
  const unknown = new Problem(404, `no build has the id '${id.slice(0, 100)}'`);
  if (!/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(id)) throw unknown;
  const stored = await reach(() => records.get(id));
  if (!stored || !isFor(token, stored.spec.project)) throw unknown;
  return stored;
}

/** Whether an If-None-Match header names this version (RFC 9110, 13.1.2: weak comparison). */
export function isFresh(ifNoneMatch: string | undefined, etag: string): boolean {
  const names = ifNoneMatch?.split(',').map((each) => each.trim().replace(/^W\//, '')) ?? [];
  return names.includes('*') || names.includes(etag);
}
