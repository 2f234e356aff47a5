import type { Sandbox, SandboxDriver, Usage } from '../runtime/sandbox.ts';
import type { ArtifactRecord, Outcome, ServiceRecord, StepRecord, WorkflowRecord } from '../src/build.ts';
import { labelOf } from '../src/logs/label.ts';
import { inWords, type Turns } from '../src/queue/turn.ts';
import type { Plan } from '../src/workflow/plan.ts';
import { type Abort, createAbort, unlessAborted } from './abort.ts';
import type { Budget } from './budget.ts';
import type { BuildSource } from './build.ts';
import { workflowVariables } from './ci-variables.ts';
import { createContainers } from './containers.ts';
import type { SecretValues } from './environment.ts';
import type { BuildEvents } from './events.ts';
import type { BuildLog } from './log.ts';
import type { Mask } from './log/mask.ts';
import { afterError, outcomeOf } from './outcome.ts';
import type { Phases } from './phases.ts';
import { type Prepared, prepare, type Supplies } from './preparation.ts';
import { createServices } from './services.ts';
import { runSteps, waiting } from './steps.ts';

/** What a workflow of a build works with. */
export interface WorkflowContext extends Supplies {
  /** Of its sandbox. */
  readonly id: string;
  /** Variables that tell of the build. */
  readonly variables: (git: BuildSource['git']) => Readonly<Record<string, string>>;
  /** Values of all that the plan names. */
  readonly secrets: SecretValues;
  readonly driver: SandboxDriver;
  readonly turns: Turns;
  readonly budget: Pick<Budget, 'take'>;
  /** Hands over files of the workspace when the workflow has ended so. Throws ArtifactError, SandboxError. */
  readonly collect: (
    sandbox: Sandbox,
    plan: Plan,
    ended: { readonly outcome: Outcome; readonly steps: readonly StepRecord[] },
  ) => Promise<ArtifactRecord[]>;
  readonly phases: Phases;
  readonly mask: Mask;
  readonly log: BuildLog;
  readonly events: BuildEvents;
  /** Of the build. */
  readonly abort: Abort;
  /** Aborts when somebody wants the build to end, who waits for nothing that it leaves. */
  readonly unwanted: AbortSignal;
  /** Stops all workflows of the build. */
  readonly cancelAll: () => void;
}

/** How a workflow ended. */
export interface WorkflowEnd {
  readonly record: WorkflowRecord;
  readonly outcome: Outcome;
  readonly usage: Usage;
  readonly artifacts: readonly ArtifactRecord[];
}

/** Runs a workflow in a sandbox of its own, of which nothing is left when it resolves. Does not throw. */
export async function runWorkflow(plan: Plan, context: WorkflowContext): Promise<WorkflowEnd> {
  const { events, mask, phases } = context;
  const giveBack = await begin(plan, context);
  const abort = createAbort(plan.timeoutMs, context.abort);
  const begun = { ...recordOf(plan, 'queued'), startedAt: new Date().toISOString() };
  await events.workflow({ ...begun, status: 'running' });
  let sandbox: Sandbox | undefined;
  let { steps, services = [] } = recordOf(plan, 'skipped');
  let artifacts: readonly ArtifactRecord[] = [];
  let usage: Usage = { cpuSeconds: 0, memoryPeakBytes: 0, diskPeakBytes: 0 };
  let caches: WorkflowRecord['caches'] = [];
  let outcome: Outcome | undefined;

  try {
    const ready = await phases.during('prepareMs', () =>
      unlessAborted(abort.stopping, prepare(plan, context.id, context, noticeOf(plan, context, 'caches'))),
    );
    const box = await phases.during('sandboxMs', () => openSandbox(plan, context, ready));
    caches = ready.caches.records;
    sandbox = box;
    const ran = await phases.during('runMs', () => runInside(plan, box, ready, { ...context, abort }));
    ({ steps, services } = ran);
    if (ran.broken) throw ran.broken;
    const verdict = (outcome = outcomeOf(steps, ran.serviceFailure, plan, abort));
    usage = await box.usage();
    artifacts = await phases.during('collectMs', () => collect(box, plan, context, abort, verdict, steps));
    if (verdict.status === 'passed') {
      const saving = phases.during('collectMs', () => unlessAborted(abort.stopping, ready.caches.save(box)));
      caches = await saving.catch(() => ready.caches.records);
    }
  } catch (error) {
    outcome = afterError(error, outcome, abort);
  }
  try {
    await phases.during('destroyMs', () => sandbox?.destroy());
  } catch (error) {
    outcome = afterError(error, outcome, abort);
  }
  abort.release();
  giveBack();

  const ended = withoutSecrets(outcome, mask);
  const record: WorkflowRecord = {
    ...begun,
    ...ended,
    finishedAt: new Date().toISOString(),
    steps,
    ...(services.length > 0 && { services }),
    ...(caches.length > 0 && { caches }),
  };
  await events.workflow(record);
  return { record, outcome: ended, usage, artifacts };
}

/**
 * Waits until the workflow may run: its turn comes first, so that whoever has a turn waits for nothing but room. A build
 * that is being stopped goes on without. Returns what gives both back.
 */
async function begin(plan: Plan, context: WorkflowContext): Promise<() => void> {
  const { turns, budget, abort, events } = context;
  const say = noticeOf(plan, context, 'concurrency');
  // Nobody waits for it: what comes next is told in any case.
  const tell = () => void Promise.resolve(events.workflow(recordOf(plan, 'queued'))).catch(() => {});
  try {
    await turns.take(plan.name, abort.stopping, (blocker) => {
      say(`waits for ${inWords(blocker)}`);
      tell();
    });
    const giveBack = await budget.take(plan.limits, abort.stopping, tell);
    return () => {
      giveBack();
      turns.leave(plan.name);
    };
  } catch {
    return () => turns.leave(plan.name);
  }
}

/** A workflow before it begins; `unrun`: the state of what is in it. */
export function recordOf(plan: Plan, unrun: 'queued' | 'skipped'): WorkflowRecord {
  return {
    name: plan.name,
    status: 'queued',
    ...(plan.dependsOn.length > 0 && { dependsOn: plan.dependsOn }),
    steps: plan.steps.map((step) => ({ ...waiting(step, plan), status: unrun })),
    ...(plan.services.length > 0 && {
      services: plan.services.map(({ name }) => ({ name, status: unrun })),
    }),
  };
}

/** Writes lines of ours into the log. */
function noticeOf(plan: Plan, { log, mask }: WorkflowContext, step: string): (line: string) => void {
  const label = labelOf({ workflow: plan.name, step });
  return (line) => {
    const text = Buffer.from(mask.text(`[cofferdam: ${line}]\n`));
    // A log that cannot take it fails the next write of a step too, which tells.
    void Promise.resolve(log.write(label, text)).catch(() => {});
  };
}

function openSandbox(plan: Plan, context: WorkflowContext, { source, caches }: Prepared): Sandbox {
  const { id, driver } = context;
  const { directories, locks, hidden } = source;
  const seen = plan.checkout === 'source' ? { sources: directories, hidden } : { sources: [], hidden: [] };
  return driver.open({
    id,
    limits: plan.limits,
    workspace: { path: plan.workspace, ...seen, ...(locks && { locks }) },
    network: plan.network.kind === 'default' ? { kind: 'egress', otherwise: 'none' } : plan.network,
    notice: noticeOf(plan, context, 'network'),
    ...(caches.volumes.length > 0 && { volumes: caches.volumes }),
  });
}

interface Ran {
  readonly steps: readonly StepRecord[];
  readonly services: readonly ServiceRecord[];
  readonly serviceFailure: string | undefined;
  /** The platform failed. */
  readonly broken: Error | undefined;
}

/** Services, then steps, then the end of the services, whatever happens. Does not throw. */
async function runInside(
  plan: Plan,
  sandbox: Sandbox,
  { images, source }: Prepared,
  context: WorkflowContext,
): Promise<Ran> {
  const { abort } = context;
  const containers = createContainers(plan, sandbox, images, abort);
  const variables = { ...workflowVariables(plan), ...context.variables(source.git) };
  const parts = { ...context, plan, sandbox, containers, variables };
  const services = createServices(parts);
  let steps: readonly StepRecord[] = recordOf(plan, 'skipped').steps;
  let broken: Error | undefined;
  try {
    await services.start();
    const ran = await runSteps(parts);
    ({ records: steps, broken } = ran);
    await services.stop();
  } catch (error) {
    broken ??= error instanceof Error ? error : new Error(String(error));
  }
  containers.kill();
  return { steps, services: services.records, serviceFailure: services.failure, broken };
}

/** How long a workflow that was stopped may hand over what it has. */
const stoppedCollectMs = 60_000;

/** A canceled build hands over nothing: it should be gone at once. */
async function collect(
  sandbox: Sandbox,
  plan: Plan,
  context: WorkflowContext,
  abort: Abort,
  outcome: Outcome,
  steps: readonly StepRecord[],
): Promise<readonly ArtifactRecord[]> {
  if (outcome.status === 'canceled') return [];
  const limit =
    abort.reason === undefined
      ? abort.stopping
      : AbortSignal.any([context.unwanted, AbortSignal.timeout(stoppedCollectMs)]);
  return await unlessAborted(limit, context.collect(sandbox, plan, { outcome, steps }));
}

/** Messages may quote what the build did. */
function withoutSecrets(outcome: Outcome, mask: Mask): Outcome {
  if (!('message' in outcome) || outcome.message === undefined) return outcome;
  return { ...outcome, message: mask.text(outcome.message) };
}
