import { Type } from 'typebox';
import type { Token as Kept } from '../tokens.ts';
import { tokenOf } from './auth.ts';
import { Problem } from './problem.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';

const Scope = Type.Enum(['read', 'submit', 'admin'] as const, {
  type: 'string',
  description: '`admin` may do everything.',
});

const projects = Type.Array(Type.String({ minLength: 1, maxLength: 200, pattern: '^[^\\p{Cc}*]+(/\\*)?$' }), {
  minItems: 1,
  maxItems: 100,
  uniqueItems: true,
  description: 'It is for builds of these alone: names, or `owner/*`. Default: it is for the whole service.',
});

const TokenRequest = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 100,
      pattern: '^\\P{Cc}+$',
      description: 'Whose it is, or what it is for.',
    }),
    scopes: Type.Array(Scope, { minItems: 1, uniqueItems: true }),
    projects: Type.Optional(projects),
  },
  { $id: 'TokenRequest', additionalProperties: false },
);

const token = {
  id: Type.String(),
  name: Type.String(),
  scopes: Type.Array(Scope),
  projects: Type.Optional(projects),
  createdAt: Type.String({ format: 'date-time' }),
};

const Token = Type.Object(token, { $id: 'Token' });

const NewToken = Type.Object(
  { ...token, secret: Type.String({ description: 'What goes after `Bearer `; never shown again.' }) },
  { $id: 'NewToken' },
);

const TokenList = Type.Object({ tokens: Type.Array(named(Token)) }, { $id: 'TokenList' });

export const tokenSchemas = [TokenRequest, Token, NewToken, TokenList];

const admin = { config: { access: 'admin' } } as const;

/** `/v1/tokens`: who may use this API. */
export function tokens(app: App, { tokens: store, reach }: Context): void {
  app.post(
    '/v1/tokens',
    {
      ...admin,
      schema: {
        operationId: 'createToken',
        summary: 'Make a token; its secret is shown this once',
        tags: ['tokens'],
        body: named(TokenRequest),
        response: { 201: named(NewToken) },
      },
    },
    async (request, reply) => {
      const { body } = request;
      if (body.projects && body.scopes.includes('admin')) {
        const places = [{ pointer: '#/projects', detail: 'excludes the scope admin' }];
        throw new Problem(400, 'an admin token is for the whole service', { places });
      }
      const { token: made, secret } = await reach(() => store.create(body));
      reply.code(201).header('cache-control', 'no-store').header('location', `/v1/tokens/${made.id}`);
      return reply.send({ ...shown(made), secret });
    },
  );

  app.get(
    '/v1/tokens',
    {
      ...admin,
      schema: {
        operationId: 'listTokens',
        summary: 'List tokens, oldest first, without their secrets',
        tags: ['tokens'],
        response: { 200: named(TokenList) },
      },
    },
    async () => {
      const all = await reach(() => store.list());
      return { tokens: all.map(shown) };
    },
  );

  app.delete(
    '/v1/tokens/:id',
    {
      ...admin,
      schema: {
        operationId: 'revokeToken',
        summary: 'Revoke a token, at once',
        tags: ['tokens'],
        params: Type.Object({ id: Type.String() }),
        response: { 204: Type.Null({ description: 'It is no token any more.' }) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      // Without one nobody could make another.
      if (id === tokenOf(request).id) throw new Problem(409, 'a token cannot revoke itself; use another one');
      if (!(await reach(() => store.revoke(id)))) {
        throw new Problem(404, `no token has the id '${id.slice(0, 100)}'`);
      }
      return reply.code(204).send(null);
    },
  );
}

const shown = ({ scopes, projects: only, ...rest }: Kept) => ({
  ...rest,
  scopes: [...scopes],
  ...(only && { projects: [...only] }),
});
