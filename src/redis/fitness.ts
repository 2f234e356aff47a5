import type { Redis } from 'ioredis';
import { RedisError } from './error.ts';

/** First with exclusive ranges and MINID trimming of streams; BullMQ asks for it as well. */
const oldest = [6, 2] as const;

/**
 * Refuses a server that would lose what it acknowledged. INFO, not CONFIG GET: hosted servers forbid CONFIG.
 * Throws RedisError of kind `unfit`.
 */
export async function checkFitness(server: Redis, shownAs: string): Promise<void> {
  const info = parseInfo(await server.info());
  const version = info.get('redis_version') ?? 'unknown';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
    throw unfit(shownAs, `is version ${version}`, 'Use Redis 6.2 or newer, or Valkey.');
  }
  const policy = info.get('maxmemory_policy');
  if (policy !== 'noeviction') {
    throw unfit(
      shownAs,
      `may throw builds away when its memory is full (maxmemory-policy ${policy})`,
      'Set maxmemory-policy to noeviction: in redis.conf, or `redis-cli CONFIG SET maxmemory-policy noeviction`.',
    );
  }
  if (info.get('role') !== 'master') {
    const master = `${info.get('master_host')}:${info.get('master_port')}`;
    throw unfit(shownAs, 'is a read-only replica', `Use its master (${master}), or redis+sentinel://.`);
  }
}

function unfit(shownAs: string, fault: string, remedy: string): RedisError {
  return new RedisError('unfit', `the Redis at ${shownAs} ${fault}. ${remedy}`);
}

function parseInfo(text: string): Map<string, string> {
  return new Map(
    text.split('\r\n').flatMap((line) => {
      const colon = line.indexOf(':');
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : [];
    }),
  );
}
