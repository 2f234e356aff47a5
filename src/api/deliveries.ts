import { type Static, Type } from 'typebox';
import type { Delivery } from '../deliveries.ts';
import { ReplayError } from '../hooks.ts';
import { forges } from '../repositories.ts';
import { HookReceipt } from './hooks.ts';
import { Problem } from './problem.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';

const DeliveryDocument = Type.Object(
  {
    id: Type.String({ description: 'ULID.' }),
    repository: Type.String(),
    forge: Type.Enum([...forges], { type: 'string' }),
    event: Type.Optional(Type.String({ description: 'What the forge calls it.' })),
    receivedAt: Type.String({ format: 'date-time' }),
    bytes: Type.Integer({ minimum: 0, description: 'Of the body.' }),
    status: Type.Enum(['pending', 'read', 'malformed'] as const, {
      type: 'string',
      description: '`pending`: not read yet; it will be within seconds.',
    }),
    builds: Type.Array(Type.String()),
    ignored: Type.Array(Type.String(), { description: 'Why it, or a part of it, made no build.' }),
    message: Type.Optional(Type.String({ description: 'What is wrong with a `malformed` one.' })),
  },
  {
    $id: 'Delivery',
    description: 'What a forge delivered. Kept for seven days, the newest 200 of a repository.',
  },
);

/** A delivery as the API shows it. */
export type ShownDelivery = Static<typeof DeliveryDocument>;

const DeliveryList = Type.Object(
  { deliveries: Type.Array(named(DeliveryDocument)) },
  { $id: 'DeliveryList' },
);

export const deliverySchemas = [HookReceipt, DeliveryDocument, DeliveryList];

/** Fastify sends a Buffer as it is; to its types an answer is what the schema says. */
const Bytes = Type.Unsafe<Buffer>(Type.String({ format: 'binary' }));

const Id = Type.Object({ id: Type.String() });
const admin = { config: { access: 'admin' } } as const;

/** `/v1/deliveries`: what forges told, what came of it, and once more. */
export function deliveries(app: App, { deliveries: store, hooks, reach }: Context): void {
  app.get(
    '/v1/deliveries',
    {
      ...admin,
      schema: {
        operationId: 'listDeliveries',
        summary: 'List what forges delivered, newest first',
        tags: ['hooks'],
        querystring: Type.Object(
          {
            repository: Type.Optional(Type.String({ maxLength: 200 })),
            limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
          },
          { additionalProperties: false },
        ),
        response: { 200: named(DeliveryList) },
      },
    },
    async ({ query }) => ({ deliveries: (await reach(() => store.list(query))).map(documentOf) }),
  );

  app.get(
    '/v1/deliveries/:id',
    {
      ...admin,
      schema: {
        operationId: 'getDelivery',
        summary: 'Get what a forge delivered, without its body',
        tags: ['hooks'],
        params: Id,
        response: { 200: named(DeliveryDocument) },
      },
    },
    async ({ params: { id } }) => {
      const delivery = await reach(() => store.get(id));
      if (!delivery) throw unknown(id);
      return documentOf(delivery);
    },
  );

  app.get(
    '/v1/deliveries/:id/body',
    {
      ...admin,
      schema: {
        operationId: 'getDeliveryBody',
        summary: 'Get the body of a delivery, as it came',
        tags: ['hooks'],
        params: Id,
        response: {
          200: {
            description: 'The bytes.',
            content: { 'application/octet-stream': { schema: Bytes } },
          },
        },
      },
    },
    async ({ params: { id } }, reply) => {
      const body = await reach(() => store.body(id));
      if (!body) throw unknown(id);
      return reply.type('application/octet-stream').header('x-content-type-options', 'nosniff').send(body);
    },
  );

  app.post(
    '/v1/deliveries/:id/replay',
    {
      ...admin,
      schema: {
        operationId: 'replayDelivery',
        summary: 'Read a delivery again and build it once more',
        description: 'By what the repository allows today. Newer builds of the same branch are not canceled.',
        tags: ['hooks'],
        params: Id,
        response: { 202: named(HookReceipt, 'Built again.') },
      },
    },
    async ({ params: { id } }, reply) => {
      try {
        const outcome = await reach(() => hooks.replay(id));
        if (outcome.kind === 'malformed') throw new Problem(422, outcome.message);
        const { builds, ignored } = outcome;
        return await reply.code(202).send({ delivery: id, builds: [...builds], ignored: [...ignored] });
      } catch (error) {
        if (error instanceof ReplayError) throw new Problem(404, error.message, { cause: error });
        throw error;
      }
    },
  );
}

const unknown = (id: string) =>
  new Problem(404, `there is no delivery '${id.slice(0, 100)}'; they are kept for seven days`);

function documentOf({ headers: _headers, outcome, ...delivery }: Delivery) {
  if (!outcome) return { ...delivery, status: 'pending' as const, builds: [], ignored: [] };
  if (outcome.kind === 'malformed') {
    return { ...delivery, status: outcome.kind, builds: [], ignored: [], message: outcome.message };
  }
  return { ...delivery, status: outcome.kind, builds: [...outcome.builds], ignored: [...outcome.ignored] };
}
