import { type Static, Type } from 'typebox';
import { newWebhookSecret, rotated } from '../repositories/webhook-secret.ts';
import { unknownRepository, webhookUrlOf } from './repositories.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';
import { WebhookSchema, WebhookSecretRequest } from './webhook.ts';

const ending = '/webhook-secret';

/** `/v1/repos/:name/webhook-secret`: what the forge of a repository signs with. */
export function webhookSecret(app: App, context: Context): void {
  const { repositories, reach } = context;

  const rotate = async (name: string, request: Static<typeof WebhookSecretRequest>) => {
    const change = request.step === 'finish' ? request : { secret: newWebhookSecret(), ...request };
    await reach(() => repositories.get(name));
    const repository = await repositories.change(name, (old, keys) => ({
      repository: old,
      keys: rotated(keys(), change),
    }));
    if (!repository) throw unknownRepository(name);
    return {
      url: webhookUrlOf(repository, context),
      ...(change.step !== 'finish' && { secret: change.secret }),
    };
  };

  const description =
    'Without a gap: `begin`, enter the new secret at the forge, `finish`. When one became known: `replace`.';
  app.post(
    `/v1/repos/:name${ending}`,
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'changeWebhookSecret',
        summary: 'Change the secret of a webhook; a new one is shown this once',
        description,
        tags: ['repositories'],
        params: Type.Object({ name: Type.String({ description: 'Name of the repository.' }) }),
        body: named(WebhookSecretRequest),
        response: { 200: named(WebhookSchema) },
      },
    },
    async ({ params: { name }, body }, reply) => {
      reply.header('cache-control', 'no-store');
      return reply.send(await rotate(name, body));
    },
  );

  // The same with the slashes of the name as they are; a router's wildcard can only be the end of a path.
  app.post(
    '/v1/repos/*',
    { config: { access: 'admin' }, schema: { hide: true, body: named(WebhookSecretRequest) } },
    async (request, reply) => {
      const { '*': path = '' } = Object(request.params);
      if (!path.endsWith(ending)) return reply.callNotFound();
      reply.header('cache-control', 'no-store');
      return reply.send(await rotate(path.slice(0, -ending.length), request.body));
    },
  );
}
