import type { Trust } from '../trigger.ts';

/** A workflow with `concurrency`. */
export interface TurnWanted {
  /** Its name; unique in the build. */
  readonly workflow: string;
  /** Text that tells it from other groups of the project. */
  readonly group: string;
  /** What people call the group. */
  readonly name: string;
  /** It runs when fewer of its group do, and so few of earlier builds wait. */
  readonly limit: number;
  /** It waits for no other workflow of its build. */
  readonly first: boolean;
}

/** What keeps a workflow from its turn. */
export type Blocker = { readonly group: string; readonly limit: number } & (
  | {
      /** It has it; or is earlier, and waits for it too; or is earlier, and it is not known yet what it wants. */
      readonly how: 'held' | 'ahead' | 'unplanned';
      readonly build: string;
    }
  /** Another workflow of the same build has it. */
  | { readonly how: 'own' }
);

/** Turns of one build's workflows. */
export interface Turns {
  /**
   * Resolves when the workflow may run: at once for one that needs no turn. Rejects with the signal's reason.
   * @param waits told what for, once, if it must wait
   */
  take(workflow: string, signal: AbortSignal, waits: (blocker: Blocker) => void): Promise<void>;
  /** The workflow has ended, or will not run: the turn, and its place in the line, is for others. Again it does nothing. */
  leave(workflow: string): void;
}

/** What a workflow waits for, in words that follow `waits for`. */
export function inWords(blocker: Blocker): string {
  return `its turn in '${blocker.group}': ${whoHasIt(blocker)} (at most ${blocker.limit} at a time)`;
}

function whoHasIt(blocker: Blocker): string {
  if (blocker.how === 'own') return 'another workflow of this build has it';
  const also = { held: 'has it', ahead: 'comes first', unplanned: 'comes first, if it wants it too' };
  return `build ${blocker.build} ${also[blocker.how]}`;
}

/** Longer names, of many values, are cut where they are shown. */
const mostShown = 100;

/**
 * How the queue tells groups apart, and shows them. Strangers have groups of their own, in which they can hold up nobody
 * else; `workflow …` and `group …`, with which all others begin, is none of these.
 */
export function groupOf(group: string, trust: Trust): { readonly group: string; readonly name: string } {
  const name = group.replace(/^(workflow|group) /, '').replace(/\p{Cc}+/gu, ' ');
  return {
    group: trust === 'trusted' ? group : `${trust} ${group}`,
    name: name.length <= mostShown ? name : `${name.slice(0, mostShown)}…`,
  };
}
