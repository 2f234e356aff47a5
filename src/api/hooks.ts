import { type Static, Type } from 'typebox';
import { ForgedDeliveryError } from '../hooks.ts';
import { forges } from '../repositories.ts';
import { redisReach } from './availability.ts';
import { Problem } from './problem.ts';
import { takeRawBodies } from './raw-body.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';

const Outcome = {
  builds: Type.Array(Type.String(), { description: 'Ids of the builds that it made.' }),
  ignored: Type.Array(Type.String(), { description: 'Why it, or a part of it, made none.' }),
};

/** What a forge is answered. */
export const HookReceipt = Type.Object(
  { delivery: Type.String({ description: 'Its id here.' }), ...Outcome },
  { $id: 'HookReceipt' },
);
export type HookReceipt = Static<typeof HookReceipt>;

const Params = Type.Object({
  forge: Type.Enum([...forges], { type: 'string' }),
  '*': Type.String({ minLength: 1, maxLength: 200, description: 'Name of the repository.' }),
});

/** 25 MiB is what GitHub sends at most; others send less. */
const bodyLimits = { one: 25 * 1024 ** 2, all: 256 * 1024 ** 2 };

/** Longer than for requests of users: forges do not try again, but wait for ten seconds. */
const patienceMs = 5_000;

/** `POST /v1/hooks/:forge/:repository`: what happened on a forge. The signature stands for a token. */
export function hooks(app: App, { hooks: service, redis }: Context): void {
  const reach = redisReach(redis, patienceMs);
  void app.register(async (plugin: App) => {
    takeRawBodies(plugin, bodyLimits);
    plugin.post(
      '/v1/hooks/:forge/*',
      {
        config: {
          access: 'none',
          rateLimit: { keyGenerator: ({ url, ip }) => `${ip} ${url.toLowerCase()}` },
        },
        schema: {
          operationId: 'receiveHook',
          summary: 'Take the webhook of a forge, signed by a secret of the repository',
          tags: ['hooks'],
          params: Params,
          response: { 202: named(HookReceipt, 'Kept, and built unless `ignored` says why not.') },
        },
      },
      async (request, reply) => {
        const { forge, '*': name } = request.params;
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        try {
          const message = { headers: request.headers, body };
          const { id, isNew, outcome } = await reach(() => service.receive(forge, name, message));
          if (outcome.kind === 'malformed') {
            throw new Problem(422, `${outcome.message} (it is kept as the delivery ${id})`);
          }
          if (!isNew) reply.header('idempotent-replayed', 'true');
          const { builds, ignored } = outcome;
          return await reply.code(202).send({ delivery: id, builds: [...builds], ignored: [...ignored] });
        } catch (error) {
          if (error instanceof ForgedDeliveryError) throw new Problem(401, error.message, { cause: error });
          throw error;
        }
      },
    );
  });
}
