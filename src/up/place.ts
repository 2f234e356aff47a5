import { join } from 'node:path';
import type { Config } from '../config.ts';
import { embeddedRedisUrl } from '../redis/embedded.ts';

/** Where the processes of one machine find what belongs to them together, below its data directory. */
export function placesIn(dataDir: string) {
  return {
    redis: join(dataDir, 'redis'),
    journal: join(dataDir, 'log', 'cofferdam.log'),
    lock: join(dataDir, 'run', 'up.lock'),
    /** The URL of the API, for commands. */
    url: join(dataDir, 'run', 'url'),
    /** The secret of an admin token, for commands. */
    token: join(dataDir, 'token'),
  };
}

/** The Redis that was chosen, or the one that `cofferdam up` runs on this machine. */
export function redisUrlOf({ redisUrl, dataDir }: Config): string {
  return redisUrl ?? embeddedRedisUrl(placesIn(dataDir).redis);
}
