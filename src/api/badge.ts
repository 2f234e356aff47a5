import { createHash } from 'node:crypto';
import { makeBadge } from 'badge-maker';
import { Type } from 'typebox';
import { badgeOf, type BranchState, branchState } from '../badge.ts';
import { isFresh } from './builds.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';

/** The form of https://shields.io/badges/endpoint-badge. */
export const BadgeSchema = Type.Object(
  {
    schemaVersion: Type.Literal(1),
    label: Type.String(),
    message: Type.String(),
    color: Type.String(),
  },
  { $id: 'Badge', description: 'A badge, for shields.io/endpoint.' },
);

const BadgePath = Type.Object({
  '*': Type.String({ description: 'Name of the repository, as acme/app, and `.svg` or `.json`.' }),
});

const BadgeQuery = Type.Object({
  branch: Type.Optional(Type.String({ maxLength: 1000, description: 'Default: the default branch.' })),
});

const kinds = {
  '.svg': {
    type: 'image/svg+xml; charset=utf-8',
    render: (state: BranchState) => makeBadge(badgeOf(state)),
  },
  '.json': {
    type: 'application/json; charset=utf-8',
    render: (state: BranchState) => JSON.stringify({ schemaVersion: 1, ...badgeOf(state) }),
  },
};

/** It is no page: nothing that is in it is run or fetched, whoever opens it. */
const safely = {
  'cache-control': 'no-cache',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
  'x-content-type-options': 'nosniff',
};

/** `GET /badge/:repository.svg`, `.json`: how a branch fares. What is not public is the same as what is not there. */
export function badges(app: App, { repositories, records, reach }: Context): void {
  const stateOf = async (name: string, branch: string | undefined): Promise<BranchState> => {
    const repository = await reach(() => repositories.get(name));
    if (repository?.badge !== 'public') return 'unknown';
    return await reach(() => branchState(records, repository.name, branch ?? repository.defaultBranch));
  };

  app.get(
    '/badge/*',
    {
      config: { access: 'none' },
      schema: {
        operationId: 'getBadge',
        summary: 'Show how a branch fares: of repositories whose badge is public',
        tags: ['repositories'],
        params: BadgePath,
        querystring: BadgeQuery,
        response: {
          200: {
            description: 'The same for repositories that are private, or not there: unknown.',
            content: {
              'image/svg+xml': { schema: Type.String() },
              'application/json': { schema: named(BadgeSchema) },
            },
          },
          304: Type.Null({ description: 'Not changed since If-None-Match.' }),
        },
      },
    },
    async (request, reply) => {
      const [, name, ending] = /^(.+)(\.svg|\.json)$/.exec(request.params['*']) ?? [];
      if (name === undefined || (ending !== '.svg' && ending !== '.json')) return reply.callNotFound();
      const { type, render } = kinds[ending];
      const body = render(await stateOf(name, request.query.branch));
      const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
      reply.headers({ ...safely, etag });
      if (isFresh(request.headers['if-none-match'], etag)) return reply.code(304).send(null);
      return reply.type(type).send(body);
    },
  );
}
