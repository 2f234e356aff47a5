import type { RunsOn } from '../src/workflow/conditions.ts';

/** A step or a workflow, as far as it matters when it runs. */
export interface Task {
  readonly name: string;
  /** Names of others; it waits until all of these have ended. */
  readonly dependsOn: readonly string[];
  /** States of what it depends on in which it runs. */
  readonly when: RunsOn;
}

/** What it means to those that depend on a task that it ended; asked when they begin, for it may still change. */
export type Fate = () => 'success' | 'failure';

export interface Execution<T extends Task> {
  /** Tasks at one time; those that run() is through with count no more. Default: as many as can. */
  readonly limit?: number;
  /** Resolves when others need not wait for the task any more. Does not reject. */
  readonly run: (task: T) => Promise<Fate>;
  /** `because`: the task that failed, if it is for that one; undefined: the execution was stopped, or nothing failed. */
  readonly skip: (task: T, because: string | undefined) => Promise<void>;
  /** Whether no more tasks begin. */
  readonly stopped: () => boolean;
}

interface Ended {
  readonly fate: Fate;
  /** The first of those it depends on that failed, or of those that that one depends on. */
  readonly because: string | undefined;
}

/**
 * Runs tasks as what they depend on allows, in their order where there is a choice. A failure changes what depends on
 * it, near or far, and nothing else: that runs if its `when` says so, and is skipped if not.
 * @param tasks of unique names, without cycles, that depend only on each other
 */
export async function runGraph<T extends Task>(tasks: readonly T[], execution: Execution<T>): Promise<void> {
  const { limit = Number.POSITIVE_INFINITY, run, skip, stopped } = execution;
  const ended = new Map<string, Ended>();
  const waiting = new Set(tasks);
  const running = new Set<Promise<void>>();

  const causeOf = ({ dependsOn }: T): string | undefined => {
    for (const name of dependsOn) {
      const before = ended.get(name);
      const cause = before?.because ?? (before?.fate() === 'failure' ? name : undefined);
      if (cause !== undefined) return cause;
    }
    return undefined;
  };
  const begin = async (task: T, because: string | undefined): Promise<void> => {
    const fate = await run(task);
    ended.set(task.name, { fate, because });
  };
  const leaveOut = async (task: T, because: string | undefined): Promise<void> => {
    ended.set(task.name, { fate: () => 'success', because });
    await skip(task, because);
  };
  /** Tasks that wait for nothing; of several that may begin, those that the limit lets. */
  const next = (): T | undefined =>
    [...waiting].find(({ dependsOn }) => dependsOn.every((name) => ended.has(name)));

  while (waiting.size > 0 || running.size > 0) {
    const task = running.size < limit || stopped() ? next() : undefined;
    if (!task) {
      if (running.size === 0) throw new TypeError('tasks wait for each other, or for one that is not there');
      await Promise.race(running);
      continue;
    }
    waiting.delete(task);
    const because = causeOf(task);
    if (stopped() || !task.when.includes(because === undefined ? 'success' : 'failure')) {
      await leaveOut(task, stopped() ? undefined : because);
      continue;
    }
    const work = begin(task, because);
    const done = work.finally(() => running.delete(done));
    running.add(done);
  }
}
