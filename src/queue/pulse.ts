import type { Redis } from 'ioredis';
import type { RedisHandle } from '../redis.ts';
import type { Held } from './claim.ts';
import { type Dispatcher, parseHanded } from './dispatch.ts';
import type { Flat } from './replies.ts';
import { type Call, QueueStateLostError } from './scripts.ts';
import type { Timing } from './timing.ts';

export interface PulseParts {
  readonly redis: RedisHandle;
  readonly call: Call;
  readonly dispatcher: Dispatcher;
  readonly timing: Timing;
  readonly trouble: (error: unknown) => void;
  /** Everything that the worker has, also of earlier sessions. */
  readonly held: ReadonlySet<Held>;
  /** Registers the worker under a session. */
  readonly register: (session: string) => Promise<void>;
  readonly newSession: () => string;
}

/**
 * Keeps a worker's builds, and drops them in time when it cannot: all by the monotonic clock, and counted from when a
 * heartbeat was sent. Neither a Redis that is away, nor a stopped process, nor a blocked event loop makes it late.
 */
export function startPulse(parts: PulseParts) {
  const { redis, call, dispatcher, timing, trouble, held } = parts;
  let session = parts.newSession();
  let answered = performance.now();
  let beating: Promise<void> | undefined;
  let closed = false;

  const lose = (claims: Iterable<Held>) => {
    for (const claim of claims) {
      claim.lostAt ??= performance.now();
      claim.lost.abort();
    }
  };
  /** A handler that does not stop in time is not waited for: its build goes to somebody else. */
  const keeps = ({ session: of, lostAt = Infinity }: Held) =>
    of === session && performance.now() - lostAt < timing.lockMs - timing.giveUpMs;
  const find = (pairs: Flat): Held[] =>
    [...held].filter(({ id, attempt, session: of }) =>
      pairs.some((each, i) => of === session && i % 2 === 0 && each === id && pairs[i + 1] === attempt),
    );

  const beatOnce = async (): Promise<void> => {
    const sent = performance.now();
    const mine = [...held].filter(keeps);
    const args = mine.flatMap(({ id, attempt }) => [id, attempt]);
    const [kind, stale, cancel, admitted] = await call('beat', session, new Date().toISOString(), ...args);
    if (kind === 'buried') {
      lose(held);
      session = parts.newSession();
      await subscribe();
      await parts.register(session);
    }
    answered = sent;
    lose(find(stale));
    for (const claim of find(cancel)) claim.canceled.abort();
    // Not waited for: the next heartbeat must not depend on it.
    dispatcher.add(parseHanded(admitted)).catch(trouble);
  };

  /** One at a time; errors are told, the next one tries again. */
  const beat = (): Promise<void> =>
    (beating ??= beatOnce()
      .catch((error: unknown) => {
        if (error instanceof QueueStateLostError) lose(held);
        if (!closed) trouble(error);
      })
      .finally(() => (beating = undefined)));

  const outOfTouch = () => performance.now() - answered > timing.giveUpMs;
  const check = () => {
    if (outOfTouch()) lose(held);
  };

  let listening: Redis | undefined;
  const subscribe = async () => {
    listening ??= listen();
    await listening.subscribe(`${redis.prefix}w:${session}`);
  };
  const listen = (): Redis => {
    const connection = redis.duplicate('cancels');
    connection.on('message', (channel: string, message: string) => {
      if (channel !== `${redis.prefix}w:${session}`) return;
      const [id, word] = message.split(' ');
      for (const claim of held) {
        if (claim.id !== id || claim.session !== session) continue;
        if (word === undefined) claim.canceled.abort();
        if (word === 'turn') for (const bell of claim.bells) bell.ring();
      }
    });
    // Cancels may have been missed; a heartbeat brings them.
    connection.on('ready', () => void (timers.length === 0 || beat()));
    return connection;
  };

  let timers: NodeJS.Timeout[] = [];

  return {
    session: () => session,
    /** Registers, when cancels are heard; from then on beats. */
    start: async (): Promise<void> => {
      await subscribe();
      await parts.register(session);
      answered = performance.now();
      timers = [
        setInterval(() => void beat(), timing.beatMs),
        setInterval(check, Math.max(10, timing.giveUpMs / 40)),
      ];
    },
    /** Makes sure that Redis still knows the session before anything is taken on. */
    inTouch: async (): Promise<void> => {
      if (outOfTouch()) await beat();
    },
    /** Stops; every build still held is lost. */
    close: (): void => {
      closed = true;
      for (const timer of timers) clearInterval(timer);
      timers = [];
      lose(held);
      listening?.disconnect();
    },
  };
}
