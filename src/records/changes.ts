import type { Redis } from 'ioredis';
import type { Status } from '../build.ts';
import type { RedisHandle } from '../redis.ts';
import { parseStatus } from './stored.ts';

/** Something about a build changed. `record` also comes when changes may have been missed: read it again. */
export type Change =
  | { readonly kind: 'status'; readonly status: Status }
  | { readonly kind: 'record' }
  | { readonly kind: 'log' }
  | { readonly kind: 'end'; readonly status: Status };

type Listener = (change: Change) => void;

/** Where changes of a build are told: `status running`, `record`, `log`, `end passed`. */
export function changesChannel(prefix: string, id: string): string {
  return `${prefix}c:${id}`;
}

/** One connection for all builds that somebody of this process listens to. */
export function createChanges(redis: RedisHandle) {
  const listeners = new Map<string, Set<Listener>>();
  let connection: Redis | undefined;

  const open = (): Redis => {
    const opened = redis.duplicate('changes');
    let lost = false;
    opened.on('close', () => (lost = true));
    opened.on('ready', () => {
      if (!lost) return;
      lost = false;
      for (const each of listeners.values()) for (const listener of each) listener({ kind: 'record' });
    });
    opened.on('message', (channel: string, message: string) => {
      const change = parse(message);
      for (const listener of listeners.get(channel) ?? []) listener(change);
    });
    return opened;
  };

  return {
    subscribe: (id: string, listener: Listener): (() => void) => {
      const channel = changesChannel(redis.prefix, id);
      connection ??= open();
      let own = listeners.get(channel);
      if (!own) {
        listeners.set(channel, (own = new Set()));
        // Rejects only when the connection is closed for good.
        connection.subscribe(channel).then(
          () => listeners.get(channel)?.forEach((each) => each({ kind: 'record' })),
          () => {},
        );
      }
      // One listener may listen twice; each call is ended by its own function.
      const entry: Listener = (change) => listener(change);
      own.add(entry);
      return () => {
        own.delete(entry);
        if (own.size > 0 || listeners.get(channel) !== own) return;
        listeners.delete(channel);
        connection?.unsubscribe(channel).catch(() => {});
      };
    },
    close: () => connection?.disconnect(),
  };
}

function parse(message: string): Change {
  const [kind, status = ''] = message.split(' ');
  if (kind === 'status' || kind === 'end') return { kind, status: parseStatus(status) };
  return { kind: kind === 'log' ? 'log' : 'record' };
}
