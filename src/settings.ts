import type { RedisHandle } from './redis.ts';
import { createScript } from './redis/script.ts';
import type { Storage } from './storage/storage.ts';

/**
 * What administrators set: entries, each of a kind and with a name, in Redis, and a copy in storage that a Redis which
 * lost its data is filled from. Kinds and names are for storage keys: letters, digits, `-`, `_`, `.` and, in kinds,
 * `/`; no part begins with a dot. A change is on disk in both (as far as Redis is told to) when it resolves.
 */
export interface Settings {
  get(kind: string, name: string): Promise<string | undefined>;
  /** By name. */
  all(kind: string): Promise<ReadonlyMap<string, string>>;
  /** That have entries, and begin with a prefix. */
  kinds(prefix: string): Promise<string[]>;
  /** False: there is one already, and it stays. */
  add(kind: string, name: string, text: string): Promise<boolean>;
  put(kind: string, name: string, text: string): Promise<void>;
  /** Makes a new text of the old one, as one step: `make` may be called again. Undefined: there is none. */
  change(kind: string, name: string, make: (old: string) => string): Promise<string | undefined>;
  /** False: there was none. */
  remove(kind: string, name: string): Promise<boolean>;
  /**
   * To be called when the service starts. Fills a new Redis, or one that lost its data, from storage; otherwise Redis is
   * right, and copies that a crash kept from being made are made. Returns how many entries came back.
   */
  restore(): Promise<number>;
}

/**
 * Each kind is a hash, `set:<kind>`. `set` has the kinds; `set.uncopied` what storage does not have yet, as
 * `<kind> <name>`; `set.whole` is there when all that storage has was put into this Redis.
 */
export function openSettings({ client, prefix }: RedisHandle, storage: Storage): Settings {
  const keyOf = (kind: string) => `${prefix}set:${kind}`;
  const kindsKey = `${prefix}set`;
  const uncopiedKey = `${prefix}set.uncopied`;
  const wholeKey = `${prefix}set.whole`;

  /** Redis is right when storage has the same text after it was put: of several writers the last one sees to it. */
  const copy = async (kind: string, name: string): Promise<void> => {
    for (let text = await client.hget(keyOf(kind), name); ; ) {
      await storage.put(placeOf(kind, name), Buffer.from(text ?? ''));
      const now = await client.hget(keyOf(kind), name);
      if (now === text) break;
      text = now;
    }
    await client.srem(uncopiedKey, `${kind} ${name}`);
  };

  /** @param condition `always`, `absent`, or `is` and the text that there must be */
  const write = async (
    kind: string,
    name: string,
    text: string,
    condition: readonly ['always' | 'absent'] | readonly ['is', string],
  ): Promise<boolean> => {
    const keys = [keyOf(kind), kindsKey, uncopiedKey];
    return (await writeScript.run(client, keys, [kind, name, text, ...condition])) === 1;
  };

  return {
    get: async (kind, name) => (await client.hget(keyOf(kind), name)) ?? undefined,
    all: async (kind) => {
      const entries = Object.entries(await client.hgetall(keyOf(kind)));
      return new Map(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
    },
    kinds: async (beginning) =>
      (await client.smembers(kindsKey)).filter((kind) => kind.startsWith(beginning)).sort(),
    add: async (kind, name, text) => {
      if (!(await write(kind, name, text, ['absent']))) return false;
      try {
        await copy(kind, name);
      } catch (error) {
        // Else it could not be added again, and the caller has been told that it was not.
        await removeScript.run(client, [keyOf(kind), kindsKey], [kind, name]);
        throw error;
      }
      return true;
    },
    put: async (kind, name, text) => {
      await write(kind, name, text, ['always']);
      await copy(kind, name);
    },
    change: async (kind, name, make) => {
      for (;;) {
        const old = await client.hget(keyOf(kind), name);
        if (old === null) return undefined;
        const text = make(old);
        if (!(await write(kind, name, text, ['is', old]))) continue;
        await copy(kind, name);
        return text;
      }
    },
    remove: async (kind, name) => {
      if ((await client.hexists(keyOf(kind), name)) === 0) return false;
      // First the copy: a crash between leaves what was there, not a copy that comes back some day.
      await storage.put(placeOf(kind, name), Buffer.alloc(0));
      const removed = await removeScript.run(client, [keyOf(kind), kindsKey], [kind, name]);
      await copy(kind, name);
      return removed === 1;
    },
    restore: async () => {
      for (const entry of await client.smembers(uncopiedKey)) {
        const [kind = '', name = ''] = entry.split(' ');
        await copy(kind, name);
      }
      if ((await client.exists(wholeKey)) === 1) return 0;
      let restored = 0;
      for await (const key of storage.list(`${root}/`)) {
        const [, kind = '', encoded = ''] = form.exec(key) ?? [];
        if (encoded === '') continue;
        const name = decodeURIComponent(encoded);
        const { body } = await storage.get(key);
        const text = Buffer.concat(await body.toArray()).toString();
        if (text === '' || !(await write(kind, name, text, ['absent']))) continue;
        await client.srem(uncopiedKey, `${kind} ${name}`);
        restored++;
      }
      await client.set(wholeKey, '1');
      return restored;
    },
  };
}

const root = 'settings';
const form = new RegExp(`^${root}/(.+)/([^/]+)\\.json$`);

/** What was removed is empty there: unlike a removal, putting cannot come in the way of another put. */
const placeOf = (kind: string, name: string) => `${root}/${kind}/${encodeURIComponent(name)}.json`;

/** KEYS: hash, kinds, uncopied. ARGV: kind, name, text, condition, text that there must be. 0: the condition does not hold. */
const writeScript = createScript(`
local kind, name, text, condition, expected = unpack(ARGV)
local old = redis.call('HGET', KEYS[1], name)
if condition == 'absent' and old or condition == 'is' and old ~= expected then return 0 end
redis.call('HSET', KEYS[1], name, text)
redis.call('SADD', KEYS[2], kind)
redis.call('SADD', KEYS[3], kind .. ' ' .. name)
return 1
`);

/** KEYS: hash, kinds. ARGV: kind, name. 0: there was no such entry. */
const removeScript = createScript(`
local removed = redis.call('HDEL', KEYS[1], ARGV[2])
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SREM', KEYS[2], ARGV[1]) end
return removed
`);
