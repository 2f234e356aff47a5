import type { StepRecord, WorkflowRecord } from '../build.ts';

/**
 * Why a step of a workflow did not run, for people; undefined: it ran, or nobody can tell. A workflow that has passed
 * leaves out only steps that are there for failures; one that failed may also have been stopped, by `failure: cancel`.
 */
export function whySkipped(
  { status, because }: Pick<StepRecord, 'status' | 'because'>,
  workflow: Pick<WorkflowRecord, 'status'>,
): string | undefined {
  if (status !== 'skipped') return undefined;
  if (because !== undefined) return `${because} failed`;
  return workflow.status === 'passed' ? 'nothing failed before it' : undefined;
}
