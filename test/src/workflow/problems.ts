import { planBuild } from '../../../src/workflow/build-plan.ts';
import { WorkflowError } from '../../../src/workflow/problem.ts';

/** What is wrong with the text of a workflow file, one line a problem, without the file's name. */
export function problemsOf(text: string): string[] {
  try {
    planBuild([{ file: 'w.yaml', text }], undefined);
  } catch (error) {
    if (error instanceof WorkflowError)
      return error.message.split('\n').map((line) => line.replace('w.yaml:', ''));
    throw error;
  }
  return [];
}
