import type { BuildRecord, Reason } from '../../src/build.ts';
import type { Result } from '../../src/queue/claim.ts';
import type { Plan } from '../../src/workflow/plan.ts';

/** Failures of the platform that another try, on another machine, may not have. */
const transient: readonly Reason[] = ['sandbox', 'internal', 'registry', 'artifacts'];

/**
 * What the queue is told of a build that ran. One that the platform failed may be tried again: as often as `retry:` of
 * its workflows says, and where several were failed, the lowest of these.
 */
export function resultOf(
  record: BuildRecord,
  { workflows }: { readonly workflows: readonly Plan[] },
): Result {
  const { status, reason, message = '' } = record;
  if (status !== 'errored' || !reason || !transient.includes(reason)) return { kind: 'finished', record };
  const errored = record.workflows.filter((workflow) => workflow.status === 'errored');
  const asked = workflows.filter(({ name }) => errored.some((each) => each.name === name));
  const mostTries = 1 + Math.min(...asked.map(({ retry }) => retry.max));
  return {
    kind: 'infrastructure',
    record,
    reason,
    message,
    ...(Number.isFinite(mostTries) && { mostTries }),
  };
}
