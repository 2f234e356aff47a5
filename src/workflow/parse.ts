import { planBuild } from './build-plan.ts';
import type { Plan } from './plan.ts';
import { WorkflowError } from './problem.ts';

/**
 * Turns the text of a workflow file into a plan as if every condition held. `file` is how the user knows it; it names
 * the workflow and begins every problem. Throws WorkflowError with all problems found, and nothing else.
 */
export function parseWorkflow(text: string, file: string): Plan {
  const planned = planBuild([{ file, text }], undefined);
  const stop = (message: string) => new WorkflowError([{ file, line: 1, column: 1, message }]);
  if (planned.kind === 'nothing') throw stop('nothing of the file is to be run');
  const { workflows } = planned.build;
  if (workflows.length > 1)
    throw stop('not supported yet: several workflows in a build, as a matrix makes them');
  return workflows[0];
}
