import type { RedisHandle } from '../redis.ts';
import { queueUnavailable } from './problem.ts';

/** Calls something that needs Redis; throws Problem (503) at once when Redis is away, and soon when it hangs. */
export type Reach = <Result>(call: () => Promise<Result>) => Promise<Result>;

/**
 * A Redis client keeps commands while the connection is away and sends them later. That is right for a worker and wrong
 * for a request: its client would hang, give up, and be served after all. So nothing is sent while Redis is away.
 */
export function redisReach({ client }: Pick<RedisHandle, 'client'>, patienceMs: number): Reach {
  return async (call) => {
    if (client.status !== 'ready') throw queueUnavailable(new Error(`the Redis client is ${client.status}`));
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_resolve, reject) => {
      const giveUp = () => reject(queueUnavailable(new Error(`no answer in ${patienceMs} ms`)));
      // When this process was busy for so long the answer is there and only not read yet: that comes first.
      timer = setTimeout(() => setImmediate(giveUp), patienceMs);
    });
    try {
      return await Promise.race([call(), timeout]);
    } finally {
      clearTimeout(timer);
    }
  };
}
