import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.ts';

const window = 60_000;

/**
 * Limits what a token may ask of this process in a minute, and an address that has none. Counted in memory: several
 * API processes allow as many times as much, and Redis is not asked before each request.
 */
export async function limitRates(app: FastifyInstance, perMinute: number): Promise<void> {
  await app.register(rateLimit, {
    max: perMinute,
    timeWindow: window,
    enableDraftSpec: true,
    cache: 10_000,
    keyGenerator: ({ token, ip }) => token?.id ?? ip,
    errorResponseBuilder: (_request, { after }) =>
      new Problem(429, `more than ${perMinute} requests in a minute; try again in ${after}`),
  });
}
