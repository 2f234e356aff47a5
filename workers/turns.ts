import { groupOf, type Turns } from '../src/queue/turn.ts';
import type { Announcement } from '../src/queue/turns.ts';
import type { Trust } from '../src/trigger.ts';
import type { BuildPlan, Plan } from '../src/workflow/plan.ts';

/** Which workflows of a build need a turn. */
export function announcementOf({ workflows }: BuildPlan, trust: Trust): Announcement {
  const isFirst = ({ dependsOn, when }: Plan) => dependsOn.length === 0 && when.includes('success');
  return {
    wanted: workflows.flatMap((plan) => {
      const { name: workflow, concurrency } = plan;
      if (!concurrency) return [];
      const { limit, group } = concurrency;
      return [{ workflow, ...groupOf(group, trust), limit, first: isFirst(plan) }];
    }),
    others: workflows.some((plan) => !plan.concurrency && isFirst(plan)) ? 'begin' : 'none',
  };
}

/** Turns without a queue: workflows of one build wait for each other, in the order in which they ask, and for nobody else. */
export function localTurns(plan: BuildPlan): Turns {
  const { wanted } = announcementOf(plan, 'trusted');
  const taken = new Set<string>();
  const waiting = new Map<string, () => void>();

  const blockerOf = (workflow: string) => {
    const own = wanted.find((each) => each.workflow === workflow);
    const running = wanted.filter((each) => each.group === own?.group && taken.has(each.workflow));
    return own && running.length >= own.limit ? own : undefined;
  };
  return {
    take: async (workflow, signal, waits) => {
      signal.throwIfAborted();
      const blocker = blockerOf(workflow);
      if (!blocker) {
        taken.add(workflow);
        return;
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const giveUp = () => {
        waiting.delete(workflow);
        reject(signal.reason);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      waiting.set(workflow, () => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      });
      waits({ how: 'own', group: blocker.name, limit: blocker.limit });
      await promise;
    },
    leave: (workflow) => {
      taken.delete(workflow);
      for (const [next, grant] of waiting) {
        if (blockerOf(next)) continue;
        waiting.delete(next);
        taken.add(next);
        grant();
      }
    },
  };
}
