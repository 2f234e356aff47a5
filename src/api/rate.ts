import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from './problem.ts';

const window = 60_000;

/**
 * Limits what a token may ask of this process in a minute, and an address that has none. Counted in memory: several
 * API processes allow as many times as much, and Redis is not asked before each request. Returns what counts a request
 * that gets in nowhere, and throws Problem (429) when there were too many of them from its address.
 */
export async function limitRates(
  app: FastifyInstance,
  perMinute: number,
): Promise<(request: FastifyRequest) => Promise<void>> {
  const tooMany = (after: string, headers: Readonly<Record<string, string>>) =>
    new Problem(429, `more than ${perMinute} requests in a minute; try again in ${after}`, { headers });
  await app.register(rateLimit, {
    max: perMinute,
    timeWindow: window,
    enableDraftSpec: true,
    cache: 10_000,
    keyGenerator: ({ token, ip }) => token?.id ?? ip,
    errorResponseBuilder: (_request, { after }) => tooMany(after, {}),
  });
  const countStranger = app.createRateLimit({ max: perMinute, timeWindow: window });
  return async (request) => {
    const counted = await countStranger(request);
    if (counted.isAllowed || !counted.isExceeded) return;
    const seconds = counted.ttlInSeconds;
    throw tooMany(`${seconds} seconds`, { 'retry-after': String(seconds) });
  };
}
