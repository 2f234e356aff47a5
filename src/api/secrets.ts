import { type Static, Type } from 'typebox';
import { parseRepositoryName, RepositoryNameError } from '../repositories/name.ts';
import { type Secret, SecretError, type SecretScope } from '../secrets.ts';
import { Problem } from './problem.ts';
import { knownRepository } from './repositories.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';

const Scope = Type.Enum(['repository', 'organization'], {
  type: 'string',
  description: '`organization`: of all repositories whose names begin with `owner/`.',
});

const triggers = Type.Array(
  Type.Enum(['manual', 'push', 'tag', 'pull_request', 'cron'], {
    type: 'string',
    description: 'A kind of trigger.',
  }),
  { uniqueItems: true, description: 'Whose builds may have it; empty: all trusted ones.' },
);

const SecretSchema = Type.Unsafe<Secret>(
  Type.Object(
    {
      name: Type.String(),
      scope: Type.Object({ kind: Scope, name: Type.String() }),
      triggers,
      updatedAt: Type.String({ format: 'date-time' }),
    },
    { $id: 'Secret', description: 'A secret without its value, which is never answered.' },
  ),
);

const SecretList = Type.Object({ secrets: Type.Array(named(SecretSchema)) }, { $id: 'SecretList' });

const SecretRequest = Type.Object(
  { value: Type.String({ description: '8 bytes to 64 KiB of text.' }), triggers: Type.Optional(triggers) },
  { $id: 'SecretRequest', additionalProperties: false },
);

export const secretSchemas = [SecretSchema, SecretList, SecretRequest];

const SecretPath = Type.Object({
  scope: Scope,
  owner: Type.String({ description: 'Name of the repository or organization.' }),
  name: Type.String({ description: 'As `from_secret` says it.' }),
});

/** The same with the slashes of the owner as they are: a secret's name has none. */
const RawPath = Type.Object({ scope: Scope, '*': Type.String() });

/** `/v1/secrets`: what trusted builds may have; values go in and never come out. */
export function secrets(app: App, context: Context): void {
  const { secrets: store, reach } = context;

  app.get(
    '/v1/secrets',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listSecrets',
        summary: 'List secrets, without their values',
        tags: ['secrets'],
        querystring: Type.Object(
          {
            repository: Type.Optional(Type.String({ description: 'Only those of a repository itself.' })),
            organization: Type.Optional(
              Type.String({ description: 'Only those of an organization itself.' }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: named(SecretList) },
      },
    },
    async ({ query: { repository, organization } }) => {
      if (repository !== undefined && organization !== undefined) {
        throw new Problem(400, 'a secret is of a repository or of an organization', {
          places: [{ parameter: 'organization', detail: 'excludes repository' }],
        });
      }
      const owner = repository ?? organization;
      const kind = repository === undefined ? 'organization' : 'repository';
      const scope = owner === undefined ? undefined : await known({ kind, name: owner });
      return { secrets: await reach(() => store.list(scope)) };
    },
  );

  /** The scope with its name as it is written where it was registered. Throws Problem. */
  const known = async ({ kind, name }: SecretScope): Promise<SecretScope> => {
    if (kind === 'repository') return { kind, name: (await knownRepository(context, name)).name };
    try {
      return { kind, name: parseRepositoryName(name) };
    } catch (error) {
      if (error instanceof RepositoryNameError) throw new Problem(404, error.message, { cause: error });
      throw error;
    }
  };

  const put = async (
    scope: SecretScope,
    name: string,
    { value, triggers: only = [] }: Static<typeof SecretRequest>,
  ) => {
    const owner = await known(scope);
    try {
      return await store.set({ name, scope: owner, triggers: only }, value);
    } catch (error) {
      if (!(error instanceof SecretError)) throw error;
      throw new Problem(400, error.message, { cause: error });
    }
  };

  const remove = async (scope: SecretScope, name: string): Promise<null> => {
    const owner = await known(scope);
    if (await store.remove(owner, name)) return null;
    throw new Problem(404, `${owner.kind} ${owner.name} has no secret ${JSON.stringify(name.slice(0, 100))}`);
  };

  app.put(
    '/v1/secrets/:scope/:owner/:name',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'putSecret',
        summary: 'Make or replace a secret',
        tags: ['secrets'],
        params: SecretPath,
        body: named(SecretRequest),
        response: { 200: named(SecretSchema) },
      },
    },
    ({ params: { scope, owner, name }, body }) => put({ kind: scope, name: owner }, name, body),
  );
  app.put(
    '/v1/secrets/:scope/*',
    { config: { access: 'admin' }, schema: { hide: true, params: RawPath, body: named(SecretRequest) } },
    ({ params, body }) => put(...rawScope(params), body),
  );

  app.delete(
    '/v1/secrets/:scope/:owner/:name',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'removeSecret',
        summary: 'Remove a secret',
        tags: ['secrets'],
        params: SecretPath,
        response: { 204: Type.Null({ description: 'It is gone.' }) },
      },
    },
    async ({ params: { scope, owner, name } }, reply) =>
      reply.code(204).send(await remove({ kind: scope, name: owner }, name)),
  );
  app.delete(
    '/v1/secrets/:scope/*',
    { config: { access: 'admin' }, schema: { hide: true, params: RawPath } },
    async ({ params }, reply) => reply.code(204).send(await remove(...rawScope(params))),
  );
}

function rawScope({ scope, '*': path }: Static<typeof RawPath>): [SecretScope, name: string] {
  const at = path.lastIndexOf('/');
  return [{ kind: scope, name: path.slice(0, Math.max(at, 0)) }, path.slice(at + 1)];
}
