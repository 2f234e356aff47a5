import { parseWorkflow } from '../../../src/workflow/parse.ts';
import { WorkflowError } from '../../../src/workflow/problem.ts';

/** What parseWorkflow says about a text, one line a problem, without the file's name. */
export function problemsOf(text: string): string[] {
  try {
    parseWorkflow(text, 'w.yaml');
  } catch (error) {
    if (error instanceof WorkflowError)
      return error.message.split('\n').map((line) => line.replace('w.yaml:', ''));
    throw error;
  }
  return [];
}
