import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

/** A Lua script that a server runs as one step. */
export interface Script {
  /** Runs it; sends its text only to a server that does not know it yet. The reply's strings are UTF-8. */
  run(client: Redis, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown>;
}

/** Makes a script of Lua text that names every key it touches in KEYS. */
export function createScript(lua: string): Script {
  const sha = createHash('sha1').update(lua).digest('hex');
  return {
    run: async (client, keys, args) => {
      try {
        return await client.evalsha(sha, keys.length, ...keys, ...args);
      } catch (error) {
        // A server that was restarted has forgotten it.
        if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
        return client.eval(lua, keys.length, ...keys, ...args);
      }
    },
  };
}
