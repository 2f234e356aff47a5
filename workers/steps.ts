import type { Exit } from '../runtime/sandbox.ts';
import type { StepRecord } from '../src/build.ts';
import { labelOf } from '../src/logs/label.ts';
import type { Plan, PlanStep } from '../src/workflow/plan.ts';
import type { Abort } from './abort.ts';
import { stepVariables } from './ci-variables.ts';
import { type CommandParts, stepCommand } from './commands.ts';
import type { Box, Containers } from './containers.ts';
import type { BuildEvents } from './events.ts';
import { type Fate, runGraph } from './graph.ts';
import { besideGraceMs, startJob } from './job.ts';
import type { BuildLog } from './log.ts';
import type { Mask } from './log/mask.ts';

/** What the steps of a workflow need. */
export interface StepsContext extends CommandParts {
  readonly plan: Plan;
  readonly containers: Containers;
  /** Keeps secrets out of the log. */
  readonly mask: Mask;
  readonly log: BuildLog;
  readonly events: BuildEvents;
  readonly abort: Abort;
  /** A step with `failure: cancel` failed: nothing of the build goes on. */
  readonly cancelAll: () => void;
}

export interface StepsResult {
  /** One for each step in the order of the plan, also for those that did not run. */
  readonly records: StepRecord[];
  /** The platform failed under a step, which its record shows; no later step ran. */
  readonly broken: Error | undefined;
}

/** How long a step may take to end after SIGTERM when its own time is over, in milliseconds. */
const timeoutGraceMs = 10_000;

/** Runs the steps as their dependencies allow, then ends those that are detached. Does not throw. */
export async function runSteps(context: StepsContext): Promise<StepsResult> {
  const { plan, events, abort } = context;
  const records = new Map<string, StepRecord>(
    plan.steps.map((step) => [step.name, { ...waiting(step, plan), status: 'skipped' }]),
  );
  const detached: { readonly running: Running; readonly ended: Promise<void> }[] = [];
  let broken: Error | undefined;

  const tell = async (step: PlanStep, change: Omit<StepRecord, 'name'>): Promise<void> => {
    const record = { ...records.get(step.name), ...waiting(step, plan), ...change };
    records.set(step.name, record);
    await events.step(record, plan.name);
  };
  const isFailure = ({ name, onFailure }: PlanStep) => {
    const status = records.get(name)?.status;
    return status !== 'passed' && status !== 'running' && onFailure !== 'ignore';
  };
  const fateOf =
    (step: PlanStep): Fate =>
    () =>
      isFailure(step) ? 'failure' : 'success';
  const breakOff = async (step: PlanStep, error: unknown): Promise<void> => {
    broken ??= error instanceof Error ? error : new Error(String(error));
    await tell(step, { status: 'errored', reason: 'sandbox' });
    if (abort.reason === undefined) abort.request('failure');
  };
  const end = async (step: PlanStep, running: Running): Promise<void> => {
    try {
      await tell(step, { ...(await running.end), finishedAt: new Date().toISOString() });
      if (step.onFailure === 'cancel' && records.get(step.name)?.status === 'failed') context.cancelAll();
    } catch (error) {
      await breakOff(step, error);
    }
  };

  await runGraph(plan.steps, {
    ...(plan.parallel !== undefined && { limit: plan.parallel }),
    stopped: () => broken !== undefined || abort.reason !== undefined,
    skip: (step, because) => tell(step, { status: 'skipped', ...(because !== undefined && { because }) }),
    run: async (step) => {
      try {
        const startedAt = new Date().toISOString();
        const box = context.containers.ofStep(step);
        const { ref, digest } = box.image;
        await tell(step, { status: 'running', image: { ref, digest }, startedAt });
        const running = startStep(step, box, startedAt, context);
        const ended = end(step, running);
        if (step.mode === 'detached') detached.push({ running, ended });
        else await ended;
      } catch (error) {
        await breakOff(step, error);
      }
      return fateOf(step);
    },
  });
  for (const { running } of detached) running.stop();
  await Promise.all(detached.map(({ ended }) => ended));
  return { records: [...records.values()], broken };
}

/** What is known of a step before it begins. */
export function waiting(
  { name, dependsOn }: PlanStep,
  { steps }: Plan,
): Pick<StepRecord, 'name' | 'dependsOn'> {
  return isChain(steps) ? { name } : { name, dependsOn };
}

/** Whether no two run at one time: each waits for the end of the one before it, and for nothing else. */
function isChain(steps: readonly PlanStep[]): boolean {
  return steps.every(
    ({ dependsOn, mode }, i) => mode === 'foreground' && dependsOn.join('\0') === (steps[i - 1]?.name ?? ''),
  );
}

interface Running {
  /** Rejects when the platform failed. */
  readonly end: Promise<Pick<StepRecord, 'status' | 'reason' | 'exitCode'>>;
  /** The others are through: it is to end now, and that is no failure. */
  stop(): void;
}

function startStep(step: PlanStep, box: Box, startedAt: string, context: StepsContext): Running {
  const { plan, log, mask, abort } = context;
  const label = labelOf({ workflow: plan.name, step: step.name });
  const own = stepVariables(step.name, plan.steps.indexOf(step), startedAt);
  const variables = { ...context.variables, ...own };
  const command = stepCommand(step, box.image, plan, { ...context, variables });
  const job = startJob(
    box,
    command,
    mask.stream((chunk) => log.write(label, chunk)),
    abort,
  );
  let stoppedFor: 'nothing' | 'timeout' | 'the end' = 'nothing';
  const onTimeout = () => {
    if (stoppedFor !== 'nothing') return;
    stoppedFor = 'timeout';
    job.stop(timeoutGraceMs);
  };
  const timer = step.timeoutMs === undefined ? undefined : setTimeout(onTimeout, step.timeoutMs);
  const end = async (): Promise<Awaited<Running['end']>> => {
    try {
      const exit = await job.exit;
      if (box.use === 'own') box.container.kill();
      // What it exits with is what we made it exit with.
      if (stoppedFor === 'the end') return { status: 'passed' };
      if (stoppedFor === 'timeout') return { status: 'failed', reason: 'timeout', exitCode: exit.code };
      return { ...verdictOf(exit, abort), exitCode: exit.code };
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    end: end(),
    stop: () => {
      if (stoppedFor !== 'nothing' || abort.reason !== undefined) return;
      stoppedFor = 'the end';
      job.stop(besideGraceMs);
    },
  };
}

function verdictOf(exit: Exit, abort: Abort): Pick<StepRecord, 'status' | 'reason'> {
  if (abort.reason === 'timeout') return { status: 'timed_out', reason: 'timeout' };
  if (abort.reason === 'service') return { status: 'canceled', reason: 'service' };
  if (abort.reason !== undefined) return { status: 'canceled', reason: 'canceled' };
  if (exit.reason === 'exit' && exit.code === 0) return { status: 'passed' };
  return { status: 'failed', reason: exit.reason };
}
