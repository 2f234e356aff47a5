import type { Image } from '../runtime/images/image.ts';
import type { Command, Container, Exit, Sandbox } from '../runtime/sandbox.ts';
import type { StepRecord } from '../src/build.ts';
import type { Plan, PlanStep, Run } from '../src/workflow/plan.ts';
import { shellScript } from '../src/workflow/script.ts';
import { type Abort, AbortedError } from './abort.ts';
import { stepVariables } from './ci-variables.ts';
import { secretFiles, type SecretValues, stepEnvironment, workspacePath } from './environment.ts';
import type { BuildEvents } from './events.ts';
import type { BuildLog } from './log.ts';
import type { Mask } from './mask.ts';

/** What the steps of a build need. */
export interface StepsContext {
  readonly plan: Plan;
  readonly sandbox: Sandbox;
  /** By reference; every image that the plan names. */
  readonly images: ReadonlyMap<string, Image>;
  /** Variables of all steps that tell of the build. */
  readonly variables: Readonly<Record<string, string>>;
  /** Values of all that the plan's steps name. */
  readonly secrets: SecretValues;
  /** Keeps them out of the log. */
  readonly mask: Mask;
  readonly log: BuildLog;
  readonly events: BuildEvents;
  readonly abort: Abort;
}

export interface StepsResult {
  /** One for each step, also for those that did not run. */
  readonly records: StepRecord[];
  /** The platform failed under a step, which its record shows; no later step ran. */
  readonly broken: Error | undefined;
}

/** Runs the steps one after another. Does not throw. */
export async function runSteps(context: StepsContext): Promise<StepsResult> {
  const containers = createContainers(context);
  const records: StepRecord[] = [];
  let soFar: 'success' | 'failure' = 'success';
  let broken: Error | undefined;
  for (const step of context.plan.steps) {
    const runs = !broken && context.abort.reason === undefined && step.when.includes(soFar);
    let record: StepRecord = { name: step.name, status: runs ? 'errored' : 'skipped' };
    try {
      if (runs) record = await runStep(step, containers, context);
    } catch (error) {
      broken = error instanceof Error ? error : new Error(String(error));
      record = { ...record, reason: 'sandbox' };
    }
    records.push(record);
    await context.events.step(record);
    if (record.status === 'failed' && step.onFailure === 'fail') soFar = 'failure';
  }
  containers.kill();
  return { records, broken };
}

async function runStep(step: PlanStep, containers: Containers, context: StepsContext): Promise<StepRecord> {
  const { events, log, mask, abort } = context;
  const { container, image } = containers.of(step);
  const startedAt = new Date().toISOString();
  const started: StepRecord = {
    name: step.name,
    status: 'running',
    image: { ref: image.ref, digest: image.digest },
    startedAt,
  };
  await events.step(started);
  const command = commandOf(step, image, startedAt, context);
  const output = mask.stream((chunk) => log.write(step.name, chunk));
  let exit: Exit;
  try {
    exit = await stoppable(abort, container, () => container.run(command, output.write));
  } finally {
    await output.end();
  }
  if (step.container.kind === 'own') container.kill();
  return { ...started, ...verdictOf(exit, abort), exitCode: exit.code, finishedAt: new Date().toISOString() };
}

function verdictOf(exit: Exit, abort: Abort): Pick<StepRecord, 'status' | 'reason'> {
  if (abort.reason === 'timeout') return { status: 'timed_out', reason: 'timeout' };
  if (abort.reason === 'canceled') return { status: 'canceled', reason: 'canceled' };
  if (exit.reason === 'exit' && exit.code === 0) return { status: 'passed' };
  return { status: 'failed', reason: exit.reason };
}

function commandOf(
  step: PlanStep,
  image: Image,
  startedAt: string,
  { plan, variables, secrets }: StepsContext,
): Command {
  return {
    args: argsOf(step.run, image),
    env: stepEnvironment(image.config, step, secrets, {
      ...variables,
      ...stepVariables(step.name, plan.steps.indexOf(step), startedAt),
    }),
    secrets: secretFiles(step, secrets),
    cwd: workspacePath,
  };
}

function argsOf(run: Run, { config }: Image): Command['args'] {
  if (run.kind === 'commands') return ['/bin/sh', '-c', shellScript(run.commands)];
  if (run.kind === 'exec') return run.args;
  const [program = '', ...args] = [...config.entrypoint, ...(run.args ?? config.cmd)];
  return [program, ...args];
}

/** After SIGKILL a container is gone within milliseconds, if it ever began. */
const killedMs = 2_000;

/**
 * SIGTERM to the whole container when the build is being stopped, SIGKILL when its grace time is over. Throws
 * AbortedError when that does not end it: crun hangs, and only the end of the sandbox helps.
 */
async function stoppable(abort: Abort, container: Container, work: () => Promise<Exit>): Promise<Exit> {
  const stuck = Promise.withResolvers<never>();
  let patience: NodeJS.Timeout | undefined;
  const terminate = () => container.signal('SIGTERM');
  const kill = () => {
    container.kill();
    patience = setTimeout(
      () => stuck.reject(new AbortedError('killing its container did not end it')),
      killedMs,
    );
  };
  abort.stopping.addEventListener('abort', terminate);
  abort.killed.addEventListener('abort', kill);
  try {
    const exit = work();
    if (abort.stopping.aborted) terminate();
    if (abort.killed.aborted) kill();
    return await Promise.race([exit, stuck.promise]);
  } finally {
    clearTimeout(patience);
    abort.stopping.removeEventListener('abort', terminate);
    abort.killed.removeEventListener('abort', kill);
  }
}

interface Containers {
  of(step: PlanStep): { readonly container: Container; readonly image: Image };
  kill(): void;
}

/** One container for all steps without an image of their own, started when first needed; a fresh one for each other. */
function createContainers({ plan, sandbox, images }: StepsContext): Containers {
  let shared: Container | undefined;
  let count = 0;
  const imageOf = (ref: string | undefined) => {
    const image = images.get(ref ?? '');
    if (!image) throw new TypeError(`no image ${ref} among those of the plan`);
    return image;
  };
  return {
    of: ({ container }) => {
      if (container.kind === 'own') {
        const image = imageOf(container.image);
        return { container: sandbox.start({ name: `step-${++count}`, root: image.root }), image };
      }
      const image = imageOf(plan.image);
      shared ??= sandbox.start({ name: 'shared', root: image.root });
      return { container: shared, image };
    },
    kill: () => shared?.kill(),
  };
}
