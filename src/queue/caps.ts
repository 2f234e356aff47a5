import type { RedisHandle } from '../redis.ts';

/** How many builds may run side by side. */
export interface Caps {
  /** Of one project that has no cap of its own; undefined: as many as there are slots. */
  readonly project: number | undefined;
  /** Of one group of a project. */
  readonly group: number;
}

/**
 * Gives a project a cap of its own, from 1; undefined: it has that of all projects again. Holds within a second, for
 * builds that are not admitted yet.
 */
export async function capProject(
  { client, prefix }: RedisHandle,
  project: string,
  most: number | undefined,
): Promise<void> {
  if (most === undefined) await client.hdel(`${prefix}caps`, project);
  else await client.hset(`${prefix}caps`, project, most);
}
