import { Type } from 'typebox';
import { GitRefError } from '../git/ref.ts';
import { GitUrlError, parseGitUrl } from '../git/url.ts';
import { capProject } from '../queue/caps.ts';
import type { Repository, RepositoryKeys } from '../repositories.ts';
import {
  changedKeys,
  changedRepository,
  newRepository,
  RepositoryChangeError,
} from '../repositories/change.ts';
import { nameOfUrl, parseRepositoryName, RepositoryNameError } from '../repositories/name.ts';
import { newWebhookSecret } from '../repositories/webhook-secret.ts';
import { Problem } from './problem.ts';
import {
  type RepositoryDetails,
  RepositoryDetailsSchema,
  RepositoryListSchema,
  RepositoryMadeSchema,
  RepositoryPatch,
  RepositoryRequest,
  type ShownRepository,
} from './repository.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';

const RepositoryPath = Type.Object({
  '*': Type.String({ description: 'Name of the repository, as acme/app.' }),
});

/** `/v1/repos`: repositories that may make builds. */
export function repositories(app: App, context: Context): void {
  const { repositories: store, reach } = context;

  const shown = (repository: Repository): ShownRepository => ({
    ...repository,
    webhookUrl: webhookUrlOf(repository, context),
  });
  const cap = ({ name, concurrency }: Pick<Repository, 'name' | 'concurrency'>) =>
    reach(() => capProject(context.redis, name, concurrency));
  const details = (repository: Repository, keys: RepositoryKeys): RepositoryDetails => ({
    ...shown(repository),
    keys: {
      webhookSecrets: keys.webhookSecrets.length,
      credentials: keys.git?.kind ?? 'none',
      forgeToken: keys.forgeToken === undefined ? 'none' : 'set',
    },
  });

  app.get(
    '/v1/repos',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listRepositories',
        summary: 'List repositories, by name',
        tags: ['repositories'],
        response: { 200: named(RepositoryListSchema) },
      },
    },
    async () => ({ repositories: (await reach(() => store.list())).map(shown) }),
  );

  app.post(
    '/v1/repos',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'addRepository',
        summary: 'Add a repository; the secret of its webhook is shown this once',
        tags: ['repositories'],
        body: named(RepositoryRequest),
        response: { 201: named(RepositoryMadeSchema) },
      },
    },
    async ({ body }, reply) => {
      const {
        url,
        forge,
        name: wanted,
        webhookSecret = newWebhookSecret(),
        credentials,
        forgeToken,
        ...change
      } = body;
      const { repository, keys } = orProblem(() => {
        const name = wanted === undefined ? nameFor(url) : parseRepositoryName(wanted);
        const plain = newRepository({ name, forge, url }, change.hosts);
        const made = changedRepository(plain, change);
        const given = {
          ...(credentials !== undefined && { credentials }),
          ...(forgeToken !== undefined && { forgeToken }),
        };
        return {
          repository: made,
          keys: changedKeys({ webhookSecrets: [webhookSecret] }, given, { from: plain, to: made }),
        };
      });
      await reach(() => store.get(repository.name));
      if (!(await store.add(repository, keys))) {
        throw new Problem(409, `there is a repository ${repository.name} already`, {
          places: [{ pointer: '#/name', detail: 'is taken; choose another one' }],
        });
      }
      await cap(repository);
      reply.code(201).header('location', `/v1/repos/${repository.name}`).header('cache-control', 'no-store');
      return reply.send({ ...details(repository, keys), webhookSecret });
    },
  );

  app.get(
    '/v1/repos/*',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getRepository',
        summary: 'Show a repository',
        tags: ['repositories'],
        params: RepositoryPath,
        response: { 200: named(RepositoryDetailsSchema) },
      },
    },
    async ({ params: { '*': name } }) => {
      const repository = await knownRepository(context, name);
      const keys = await reach(() => store.keys(name));
      if (!keys) throw unknownRepository(name);
      return details(repository, keys);
    },
  );

  app.patch(
    '/v1/repos/*',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'changeRepository',
        summary: 'Change a repository',
        tags: ['repositories'],
        params: RepositoryPath,
        body: named(RepositoryPatch),
        response: { 200: named(RepositoryDetailsSchema) },
      },
    },
    async ({ params: { '*': name }, body }) => {
      await knownRepository(context, name);
      const { credentials, forgeToken, ...change } = body;
      const given = {
        ...(credentials !== undefined && { credentials }),
        ...(forgeToken !== undefined && { forgeToken }),
      };
      let kept: RepositoryKeys | undefined;
      const changed = await store.change(name, (old, keys) =>
        orProblem(() => {
          const repository = changedRepository(old, change);
          kept = changedKeys(keys(), given, { from: old, to: repository });
          return { repository, keys: kept };
        }),
      );
      if (!changed || !kept) throw unknownRepository(name);
      await cap(changed);
      return details(changed, kept);
    },
  );

  app.delete(
    '/v1/repos/*',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'removeRepository',
        summary: 'Remove a repository with its secrets; its builds stay',
        tags: ['repositories'],
        params: RepositoryPath,
        response: { 204: Type.Null({ description: 'It is gone.' }) },
      },
    },
    async ({ params: { '*': name } }, reply) => {
      const repository = await knownRepository(context, name);
      if (!(await store.remove(name))) throw unknownRepository(name);
      await cap({ name: repository.name });
      return reply.code(204).send(null);
    },
  );
}

/** Where the forge of a repository sends webhooks to. */
export function webhookUrlOf({ forge, name }: Repository, { publicUrl }: Pick<Context, 'publicUrl'>): string {
  return `${publicUrl()}/v1/hooks/${forge}/${name}`;
}

/** A repository by its name. Throws Problem (404). */
export async function knownRepository(
  { repositories: store, reach }: Pick<Context, 'repositories' | 'reach'>,
  name: string,
): Promise<Repository> {
  const repository = await reach(() => store.get(name));
  if (!repository) throw unknownRepository(name);
  return repository;
}

export function unknownRepository(name: string): Problem {
  return new Problem(404, `there is no repository ${JSON.stringify(name.slice(0, 200))}`);
}

function nameFor(url: string): string {
  const place = parseGitUrl(url, { hosts: 'internal' });
  try {
    return nameOfUrl(place);
  } catch (error) {
    if (!(error instanceof RepositoryNameError)) throw error;
    throw new RepositoryNameError(`is missing, and the URL tells none: ${error.message}`, { cause: error });
  }
}

/** What the domain refuses, with its place in the body. */
function orProblem<Result>(call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    const pointer = pointerOf(error);
    if (pointer === undefined || !(error instanceof Error)) throw error;
    const places = [{ pointer: `#${pointer}`, detail: error.message }];
    throw new Problem(400, 'there cannot be such a repository', { places, cause: error });
  }
}

function pointerOf(error: unknown): string | undefined {
  if (error instanceof RepositoryChangeError) return error.pointer;
  if (error instanceof GitUrlError) return '/url';
  if (error instanceof GitRefError) return '/defaultBranch';
  if (error instanceof RepositoryNameError) return '/name';
  return undefined;
}
