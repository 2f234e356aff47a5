import { setTimeout as sleep } from 'node:timers/promises';
import { createBell } from '../logs/bell.ts';
import { parseOwn } from '../records/json.ts';
import type { Held } from './claim.ts';
import { type Dispatcher, parseHanded } from './dispatch.ts';
import { type Call, QueueStateLostError } from './scripts.ts';
import type { Timing } from './timing.ts';
import type { Blocker, Turns, TurnWanted } from './turn.ts';

export interface TurnsParts {
  readonly call: Call;
  readonly dispatcher: Dispatcher;
  readonly timing: Timing;
  readonly trouble: (error: unknown) => void;
  /** Claims whose end is not settled. */
  readonly held: ReadonlySet<Held>;
}

/** What an announcement comes to. */
export type Announced =
  | { readonly kind: 'turns'; readonly turns: Turns }
  /** The build can begin nothing now: it is to make room for others until its turn has come. */
  | { readonly kind: 'aside'; readonly blocker: Blocker };

/** What a build is about to run. */
export interface Announcement {
  /** None: nothing is announced, and nothing is waited for. */
  readonly wanted: readonly TurnWanted[];
  /** Whether it has workflows that can begin without any turn. */
  readonly others: 'begin' | 'none';
}

/**
 * Tells the queue which workflows of a claimed build need a turn, and takes those that are to be had at once. Tries again
 * while Redis is away. Rejects with the signal's reason.
 */
export async function announceTurns(
  parts: TurnsParts,
  claim: Held,
  { wanted, others }: Announcement,
  signal: AbortSignal,
): Promise<Announced> {
  const { call, timing, trouble } = parts;
  const first = wanted.some((each) => each.first);
  const args = [claim.id, claim.attempt, claim.session, JSON.stringify(wanted)] as const;
  const announce = async () => {
    const [kind, taken, waits] = await call('announceTurns', ...args);
    const idle = kind === 'ok' && first && taken.length === 0 && others === 'none';
    return { taken, blocker: idle ? parseBlocker(waits, claim.id) : undefined };
  };
  while (wanted.length > 0) {
    signal.throwIfAborted();
    const reply = await announce().catch(trouble);
    if (reply && !reply.blocker)
      return { kind: 'turns', turns: queueTurns(parts, claim, wanted, reply.taken) };
    // What is being planned now is known soon: not worth giving up the slot.
    if (reply?.blocker && reply.blocker.how !== 'unplanned') return { kind: 'aside', blocker: reply.blocker };
    await sleep(timing.tickMs, undefined, { signal });
  }
  return { kind: 'turns', turns: { take: () => Promise.resolve(), leave: () => {} } };
}

function queueTurns(
  { call, dispatcher, timing, trouble, held }: TurnsParts,
  claim: Held,
  wanted: readonly TurnWanted[],
  taken: readonly string[],
): Turns {
  const fence = [claim.id, claim.attempt, claim.session] as const;
  const kept = new Set(wanted.map(({ workflow }) => workflow));
  const had = new Set(taken);

  return {
    take: async (workflow, signal, waits) => {
      if (!kept.has(workflow) || had.has(workflow)) return;
      const bell = createBell();
      const wake = () => bell.ring();
      let told = false;
      claim.bells.add(bell);
      signal.addEventListener('abort', wake);
      try {
        for (;;) {
          bell.muffle();
          signal.throwIfAborted();
          const reply = await call('takeTurn', ...fence, workflow).catch(trouble);
          if (reply?.[0] === 'taken') return;
          if (reply?.[0] === 'waits' && !told) {
            told = true;
            waits(parseBlocker(reply[1], claim.id));
          }
          await bell.heard(timing.turnMs);
        }
      } finally {
        claim.bells.delete(bell);
        signal.removeEventListener('abort', wake);
      }
    },
    leave: (workflow) => {
      if (!kept.delete(workflow)) return;
      const leave = async () => {
        const [, admitted] = await call('leaveTurn', ...fence, workflow);
        await dispatcher.add(parseHanded(admitted));
      };
      const tryToLeave = async (): Promise<void> => {
        // The end of the attempt leaves everything.
        while (held.has(claim)) {
          try {
            return await leave();
          } catch (error) {
            trouble(error);
            if (error instanceof QueueStateLostError) return;
            await sleep(timing.tickMs);
          }
        }
      };
      void tryToLeave();
    },
  };
}

function parseBlocker(text: string, id: string): Blocker {
  const { group, limit, how, build } = parseOwn<Exclude<Blocker, { how: 'own' }>>(text);
  return build === id ? { group, limit, how: 'own' } : { group, limit, how, build };
}
