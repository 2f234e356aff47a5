import type { RedisHandle } from '../redis.ts';
import { queueUnavailable } from './problem.ts';

/** Calls something that needs Redis; throws Problem (503) at once when Redis is away, and soon when it hangs. */
export type Reach = <Result>(call: () => Promise<Result>) => Promise<Result>;

/** While a call waits, Redis is looked after so often. */
const looksPerPatience = 9;

/**
 * A Redis client keeps commands while the connection is away and sends them later. That is right for a worker and wrong
 * for a request: its client would hang, give up, and be served after all. So nothing is sent while Redis is away.
 *
 * Whether it hangs is not measured by the clock, which goes on while this process is busy or gets no processor, and
 * answers are there and not read. It is seen by a question that stays unanswered over several looks, and between two
 * looks everything is read that has come.
 */
export function redisReach(
  { client, prefix }: Pick<RedisHandle, 'client' | 'prefix'>,
  patienceMs: number,
): Reach {
  const waiting = new Set<(problem: Error) => void>();
  /** Looks since the question was asked; undefined: it was answered, or there is none. */
  let unanswered: number | undefined;
  let nextLook: NodeJS.Timeout | undefined;

  const ask = () => {
    unanswered = 0;
    const answered = () => {
      unanswered = undefined;
    };
    // Of a key: that decides which server of a Cluster is asked. After its own time limit it is asked again.
    client.exists(`${prefix}epoch`).then(answered, answered);
  };

  const hangs = () => unanswered !== undefined && unanswered >= looksPerPatience - 1;
  const problem = () => queueUnavailable(new Error(`Redis did not answer in ${patienceMs} ms`));

  const look = () => {
    nextLook = undefined;
    if (waiting.size === 0) return;
    if (unanswered === undefined) ask();
    else unanswered++;
    if (hangs()) for (const giveUp of waiting) giveUp(problem());
    lookLater();
  };

  const lookLater = () => {
    // Between a timer and setImmediate() Node reads what has come.
    nextLook ??= setTimeout(() => setImmediate(look), patienceMs / looksPerPatience).unref();
  };

  return async (call) => {
    if (client.status !== 'ready') throw queueUnavailable(new Error(`the Redis client is ${client.status}`));
    if (hangs()) throw problem();
    const { promise, reject } = Promise.withResolvers<never>();
    waiting.add(reject);
    lookLater();
    try {
      return await Promise.race([call(), promise]);
    } finally {
      waiting.delete(reject);
    }
  };
}
