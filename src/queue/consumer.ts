import { createHash, randomBytes } from 'node:crypto';
import { Worker } from 'bullmq';
import { parseOwn } from '../records/json.ts';
import type { RedisHandle } from '../redis.ts';
import { closeBull } from './bull-close.ts';
import { type Claim, type Handler, type Held, makeClaim, type Result } from './claim.ts';
import { bullPrefix, type Dispatcher, parseHanded, parseJobId, queueName } from './dispatch.ts';
import { startPulse } from './pulse.ts';
import { type Call, QueueStateLostError } from './scripts.ts';
import { canonicalLabels } from './place.ts';
import type { Settle } from './settle.ts';
import { announceTurns } from './turns.ts';
import type { WorkerInfo } from './stats.ts';
import type { Timing } from './timing.ts';

/** A worker's side of the queue. */
export interface Consumer {
  /** Takes no more builds; those that run go on. Until setSlots(). */
  pause(): Promise<void>;
  /** Builds side by side from now on; 0 pauses. Running ones go on. */
  setSlots(slots: number): Promise<void>;
  /** Resolves when nothing runs and everything that ended is in the archive. Pause first. */
  drained(): Promise<void>;
  /** Says goodbye. Builds that still run are lost, and go back to the queue when their handlers have returned. */
  close(): Promise<void>;
}

export interface ConsumerParts {
  readonly redis: RedisHandle;
  readonly call: Call;
  readonly dispatcher: Dispatcher;
  readonly settle: Settle;
  readonly timing: Timing;
  readonly tick: () => Promise<void>;
  readonly trouble: (error: unknown) => void;
}

/** Workers with the same labels draw from one BullMQ queue. */
function classOf(labels: string): string {
  return labels === '' ? '-' : createHash('sha256').update(labels).digest('hex').slice(0, 12);
}

/** Starts to take builds. Throws TypeError when the worker's description is not usable. */
export function startConsumer(parts: ConsumerParts, worker: WorkerInfo, handler: Handler): Consumer {
  if (!/^[^#\s]{1,100}$/.test(worker.id)) {
    throw new TypeError(`worker id '${worker.id}': use 1 to 100 characters, no blanks and no #`);
  }
  const { redis, call, dispatcher, settle, timing, trouble } = parts;
  const labels = canonicalLabels(worker.labels);
  const workerClass = classOf(labels);
  const held = new Set<Held>();
  const working = new Set<Promise<void>>();
  let slots = worker.slots;
  let closed = false;

  const register = async (session: string): Promise<void> => {
    const args = [session, JSON.stringify(worker), workerClass, labels || '{}', slots];
    const [admitted] = await call('register', ...args);
    await dispatcher.add(parseHanded(admitted));
  };
  const pulse = startPulse({
    redis,
    call,
    dispatcher,
    timing,
    trouble,
    held,
    register,
    newSession: () => `${worker.id}#${randomBytes(9).toString('base64url')}`,
  });

  const turnsParts = { call, dispatcher, timing, trouble, held };

  /** Undefined: the build is not for us. A claim said twice is the same claim. */
  const claim = async (entry: Held, n: number): Promise<Claim | undefined> => {
    for (;;) {
      try {
        const at = new Date().toISOString();
        const reply = await call('claim', entry.id, n, entry.session, at);
        if (reply[0] !== 'claimed') {
          if (reply[0] === 'refused') await dispatcher.add(parseHanded(reply[1]));
          return undefined;
        }
        const [, attempt, spec, attempts, number, sha] = reply;
        entry.attempt = attempt;
        const claimed = makeClaim(entry, parseOwn(spec), { number, attempts: parseOwn(attempts), sha });
        return { ...claimed, announce: (what, signal) => announceTurns(turnsParts, entry, what, signal) };
      } catch (error) {
        trouble(error);
        // Unheard of from now on: if the claim did arrive, the next heartbeat gives it back.
        if (entry.lost.signal.aborted || closed) return undefined;
        await new Promise((resolve) => setTimeout(resolve, timing.tickMs));
      }
    }
  };

  const work = async (job: string): Promise<void> => {
    await pulse.inTouch();
    const { id, n } = parseJobId(job);
    const session = pulse.session();
    // BullMQ may deliver a job again while we work on it; the first delivery has the claim.
    if ([...held].some((other) => other.id === id && other.n === n && other.session === session)) return;
    const entry: Held = {
      id,
      n,
      session,
      attempt: 0,
      canceled: new AbortController(),
      lost: new AbortController(),
      bells: new Set(),
    };
    held.add(entry);
    try {
      const claimed = await claim(entry, n);
      if (!claimed) return;
      if (closed) entry.lost.abort();
      const result = entry.lost.signal.aborted ? letGo : await handle(handler, claimed);
      await settle.attempt(claimed.fence, entry.lost.signal.aborted ? letGo : result, () => closed);
    } finally {
      held.delete(entry);
    }
  };

  const bull = new Worker(
    queueName(workerClass),
    async ({ id = '' }) => {
      const done = work(id).catch(trouble);
      working.add(done);
      await done;
      working.delete(done);
    },
    {
      connection: redis.duplicate('builds'),
      prefix: bullPrefix(redis.prefix),
      autorun: false,
      concurrency: Math.max(1, slots),
      // Its locks only spare it needless work: what counts is the fence, and what is delivered twice is claimed once.
      lockDuration: timing.lockMs,
      lockRenewTime: timing.beatMs * 2,
      stalledInterval: timing.lockMs,
      maxStalledCount: 1_000_000,
      runRetryDelay: timing.tickMs,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    },
  );
  // A job that was delivered twice, and Redis that is away: both are noticed by the pulse.
  bull.on('error', () => {});

  const start = async () => {
    await pulse.start();
    if (slots > 0) await bull.resume();
  };
  /** Changes of slots one after another. */
  let changing = untilDone(start, trouble, () => closed, timing.tickMs);
  const setSlots = (wanted: number): Promise<void> =>
    (changing = changing.then(async () => {
      if (closed) return;
      slots = wanted;
      if (bull.isRunning()) await bull.pause(true);
      await untilDone(
        () => register(pulse.session()),
        trouble,
        () => closed,
        timing.tickMs,
      );
      if (slots === 0) return;
      bull.concurrency = slots;
      // Also wakes a loop that had filled its slots.
      await bull.resume();
    }));

  const ticking = setInterval(() => void parts.tick().catch(trouble), timing.tickMs);
  const drained = async () => {
    while (working.size > 0) await Promise.all(working);
    await settle.archived();
  };
  return {
    pause: () => setSlots(0),
    setSlots,
    drained,
    close: async () => {
      if (closed) return;
      closed = true;
      clearInterval(ticking);
      await changing;
      slots = 0;
      if (bull.isRunning()) await bull.pause(true);
      const session = pulse.session();
      // What BullMQ still delivers is refused from now on, and goes to others at once.
      await register(session).catch(trouble);
      pulse.close();
      await drained();
      const left = await settle.goodbye(session).then(
        () => true,
        (error: unknown) => (trouble(error), false),
      );
      await closeBull(bull, left ? 'in-order' : 'at-once');
    },
  };
}

const letGo: Result = { kind: 'requeue', reason: 'the worker let go of it' };

async function handle(handler: Handler, claim: Claim): Promise<Result> {
  try {
    return await handler(claim);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { kind: 'infrastructure', record: claim.record, reason: 'internal', message };
  }
}

/** Tries until it works: Redis may be away when a worker starts. What is lost for good is not waited for. */
async function untilDone(
  act: () => Promise<void>,
  trouble: (error: unknown) => void,
  closed: () => boolean,
  pauseMs: number,
): Promise<void> {
  while (!closed()) {
    try {
      return await act();
    } catch (error) {
      trouble(error);
      if (error instanceof QueueStateLostError) return;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}
