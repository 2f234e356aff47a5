import { Type } from 'typebox';
import { Problem } from './problem.ts';
import { named } from './schema.ts';
import type { App, Context } from './service.ts';

/** That the process answers, or is ready to work. */
export const Health = Type.Object({ status: Type.Literal('ok') }, { $id: 'Health' });

/** Which Cofferdam this is. */
export const Version = Type.Object({ version: Type.String(), node: Type.String() }, { $id: 'Version' });

const open = { config: { access: 'none', rateLimit: false } } as const;

/** `/healthz` (the process lives), `/readyz` (Redis and storage answer), `/version`. */
export function health(app: App, { redis, storage, reach }: Context, version: string): void {
  app.get(
    '/healthz',
    {
      ...open,
      schema: {
        operationId: 'getHealth',
        summary: 'Say that the process lives',
        tags: ['service'],
        response: { 200: named(Health) },
      },
    },
    () => ({ status: 'ok' }) as const,
  );

  app.get(
    '/readyz',
    {
      ...open,
      schema: {
        operationId: 'getReadiness',
        summary: 'Say whether Redis and the storage answer',
        tags: ['service'],
        response: { 200: named(Health) },
      },
    },
    async () => {
      await reach(() => redis.client.ping());
      await storage.head('readiness').catch((cause: unknown) => {
        throw new Problem(503, 'the storage cannot be reached', { headers: { 'retry-after': '2' }, cause });
      });
      return { status: 'ok' } as const;
    },
  );

  app.get(
    '/version',
    {
      ...open,
      schema: {
        operationId: 'getVersion',
        summary: 'Say which version this is',
        tags: ['service'],
        response: { 200: named(Version) },
      },
    },
    () => ({ version, node: process.version }),
  );
}
