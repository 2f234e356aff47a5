import type { BuildPlan } from '../../src/workflow/plan.ts';
import { UsageError } from '../../src/usage.ts';

type Labels = Readonly<Record<string, string>>;

/**
 * What a worker must offer to run all workflows of a build, which run on one worker. Throws UsageError when no worker can.
 * @param asked what the build itself asks for
 */
export function labelsOf({ workflows }: BuildPlan, asked: Labels): Labels {
  const all = new Map(Object.entries(asked));
  const whose = new Map<string, string>();
  for (const { name, labels } of workflows) {
    for (const [label, value] of Object.entries(labels)) {
      const other = all.get(label);
      if (other !== undefined && other !== value) {
        const before = whose.get(label);
        const what = before === undefined ? 'the build itself asks' : `workflow '${before}' asks`;
        throw new UsageError(
          `workflow '${name}' asks for a worker with ${label}=${value}, and ${what} for ${label}=${other}; ` +
            'all workflows of a build run on one worker: make them builds of their own',
        );
      }
      all.set(label, value);
      whose.set(label, name);
    }
  }
  return Object.fromEntries(all);
}

/** Whether a worker with these labels, of which `*` stands for any value, has what is asked for. */
export function hasLabels(worker: Labels, asked: Labels): boolean {
  return Object.entries(asked).every(([label, value]) => worker[label] === value || worker[label] === '*');
}
