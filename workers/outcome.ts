import { ImageError } from '../runtime/images/image.ts';
import { ImageReferenceError } from '../runtime/images/reference.ts';
import { SandboxError } from '../runtime/sandbox.ts';
import { ArtifactStoreError } from '../src/artifacts.ts';
import type { Outcome, Reason, StepRecord } from '../src/build.ts';
import type { Plan } from '../src/workflow/plan.ts';
import { type Abort, AbortedError } from './abort.ts';
import { ArtifactError } from './artifacts.ts';
import { SourceError } from './source.ts';

/** What its steps make of a workflow. `service`: what is wrong with the one without which they could not go on. */
export function outcomeOf(
  steps: readonly StepRecord[],
  service: string | undefined,
  plan: Plan,
  abort: Abort,
): Outcome {
  if (abort.reason === 'timeout') return { status: 'timed_out', reason: 'timeout' };
  if (abort.reason === 'canceled') return { status: 'canceled', reason: 'canceled' };
  if (service !== undefined) return { status: 'failed', reason: 'service', message: service };
  const failed = steps.find(({ status }, i) => status === 'failed' && plan.steps[i]?.onFailure !== 'ignore');
  if (failed) return { status: 'failed', reason: reasonOfFailure(failed) };
  return abort.reason === undefined ? { status: 'passed' } : { status: 'canceled', reason: 'canceled' };
}

function reasonOfFailure({ reason }: StepRecord) {
  return reason === 'oom' || reason === 'disk' || reason === 'pids' || reason === 'timeout' ? reason : 'exit';
}

/** What an exception makes of a workflow. A verdict that stands already stays, unless there is less to show for it. */
export function afterError(error: unknown, verdict: Outcome | undefined, abort: Abort): Outcome {
  if (error instanceof AbortedError || (abort.reason === 'canceled' && !verdict)) {
    if (abort.reason === 'timeout') return { status: 'timed_out', reason: 'timeout' };
    const isOver = abort.reason !== 'canceled' && verdict?.status === 'failed';
    return isOver ? verdict : { status: 'canceled', reason: 'canceled' };
  }
  const message = error instanceof Error ? error.message : String(error);
  if (verdict?.status === 'failed' || verdict?.status === 'errored') return { message, ...verdict };
  if (verdict && verdict.status !== 'passed') return verdict;
  if (error instanceof ArtifactError) return { status: 'failed', reason: 'artifacts', message };
  return { status: 'errored', reason: reasonOf(error), message };
}

function reasonOf(error: unknown): Reason {
  if (error instanceof ImageError) return error.trouble === 'unavailable' ? 'registry' : 'image';
  if (error instanceof ImageReferenceError) return 'image';
  if (error instanceof SourceError) return 'source';
  if (error instanceof SandboxError) return error.phase === 'collect' ? 'artifacts' : 'sandbox';
  if (error instanceof ArtifactStoreError) return 'artifacts';
  return 'internal';
}

const worstFirst: readonly Outcome['status'][] = ['failed', 'timed_out', 'errored', 'passed'];

/**
 * What its workflows make of a build: one that failed is not saved by another that could not run; of several alike the
 * first in the order of the plan tells why. That a workflow was stopped for another one's failure adds nothing.
 * @param ended of those that ran
 * @param canceled somebody stopped the build before all had run
 */
export function outcomeOfBuild(
  ended: readonly { readonly name: string; readonly outcome: Outcome }[],
  canceled: boolean,
): Outcome {
  const [only, ...others] = ended;
  if (only && others.length === 0 && !canceled) return only.outcome;
  if (canceled) return { status: 'canceled', reason: 'canceled' };
  const own = ended.filter(({ outcome }) => outcome.status !== 'canceled');
  const [worst] = worstFirst.flatMap((status) => own.filter(({ outcome }) => outcome.status === status));
  if (!worst) return { status: 'passed' };
  const { name, outcome } = worst;
  if (!('message' in outcome) || outcome.message === undefined) return outcome;
  return { ...outcome, message: `workflow '${name}': ${outcome.message}` };
}
