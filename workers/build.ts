import { ulid } from 'ulid';
import { type Image, ImageError } from '../runtime/images/image.ts';
import { ImageReferenceError } from '../runtime/images/reference.ts';
import { type Sandbox, type SandboxDriver, SandboxError, type Usage } from '../runtime/sandbox.ts';
import { type ArtifactStore, ArtifactStoreError } from '../src/artifacts.ts';
import type { ArtifactRecord, BuildRecord, Outcome, Reason, StepRecord } from '../src/build.ts';
import type { Plan } from '../src/workflow/plan.ts';
import { type Abort, AbortedError, unlessAborted } from './abort.ts';
import { type ArtifactCaps, ArtifactError, collectArtifacts } from './artifacts.ts';
import { type BuildFacts, buildVariables } from './ci-variables.ts';
import { type SecretValues, workspacePath } from './environment.ts';
import type { BuildEvents } from './events.ts';
import { createBuildLog } from './log.ts';
import { createMask, type Mask } from './mask.ts';
import { createPhases } from './phases.ts';
import { SourceError } from './source.ts';
import { runSteps } from './steps.ts';

/** What a build finds in its workspace. */
export interface BuildSource {
  /** Read-only layers of it, bottom first; none: the workspace is empty. */
  readonly directories: readonly string[];
  /** Files whose shared locks keep the directories where they are. */
  readonly locks?: readonly string[];
  /** Paths below the directories that the build does not see. */
  readonly hidden: readonly string[];
  readonly git: { readonly ref?: string; readonly sha?: string };
}

/** One build, ready to run. */
export interface BuildRequest {
  readonly plan: Plan;
  /** What the record calls the source. */
  readonly repo: string;
  /** Describes the source; called once. Throws SourceError. */
  readonly source: () => Promise<BuildSource>;
  /** What made it, and whose it is. */
  readonly about: Omit<BuildFacts, 'id' | 'createdAt' | 'startedAt' | 'workflow' | 'git'>;
  /** Values of all that the plan's steps name. */
  readonly secrets: SecretValues;
  readonly logCapBytes: number;
  readonly artifactCaps: ArtifactCaps;
  /** Who the build is, when a queue accepted it before; `createdAt` is ISO 8601. */
  readonly accepted?: { readonly id: string; readonly attempt: number; readonly createdAt: string };
}

/** What a build works with. */
export interface BuildTools {
  readonly driver: SandboxDriver;
  /** Finds or fetches an image: a reference is resolved to a digest here, once for the build. Throws ImageError. */
  readonly resolveImage: (ref: string) => Promise<Image>;
  readonly artifacts: ArtifactStore;
  readonly events: BuildEvents;
  readonly abort: Abort;
}

/**
 * Runs a build from its plan to its record. A red build is a result, not an exception: whatever happens a record
 * comes back, and nothing of the sandbox is left when it does.
 */
export async function runBuild(request: BuildRequest, tools: BuildTools): Promise<BuildRecord> {
  const { plan } = request;
  const { abort, events } = tools;
  const startedAt = new Date().toISOString();
  const { id, attempt, createdAt } = request.accepted ?? { id: ulid(), attempt: 1, createdAt: startedAt };
  const phases = createPhases();
  const log = createBuildLog(request.logCapBytes, events);
  const mask = createMask(request.secrets.values());
  let source: BuildSource | undefined;
  let sandbox: Sandbox | undefined;
  let steps: StepRecord[] = plan.steps.map(({ name }) => ({ name, status: 'skipped' }));
  let artifacts: ArtifactRecord[] = [];
  let usage: Usage = { cpuSeconds: 0, memoryPeakBytes: 0, diskPeakBytes: 0 };
  let outcome: Outcome | undefined;

  try {
    const ready = await phases.during('prepareMs', () =>
      unlessAborted(abort.stopping, prepare(request, tools)),
    );
    source = ready.source;
    const box = await phases.during('sandboxMs', () =>
      openSandbox(`${id}-${attempt}`, request, tools, ready.source),
    );
    sandbox = box;
    const ran = await phases.during('runMs', () =>
      runSteps({
        plan,
        sandbox: box,
        images: ready.images,
        variables: buildVariables({
          ...request.about,
          id,
          createdAt,
          startedAt,
          workflow: plan.name,
          git: ready.source.git,
        }),
        secrets: request.secrets,
        mask,
        log,
        events,
        abort,
      }),
    );
    steps = ran.records;
    await log.finish();
    if (ran.broken) throw ran.broken;
    const verdict = (outcome = outcomeOf(steps, plan, abort));
    usage = await box.usage();
    artifacts = await phases.during('collectMs', () => collect(box, request, tools, mask, verdict));
  } catch (error) {
    outcome = afterError(error, outcome, abort);
  }
  try {
    await phases.during('destroyMs', () => sandbox?.destroy());
  } catch (error) {
    outcome = afterError(error, outcome, abort);
  }
  abort.release();

  const { status, ...why } = withoutSecrets(outcome, mask);
  const finishedAt = new Date().toISOString();
  return {
    id,
    status,
    ...why,
    attempt,
    source: { repo: request.repo, ...source?.git },
    trigger: request.about.trigger,
    createdAt,
    startedAt,
    finishedAt,
    timings: { ...phases.timings, queuedMs: Date.parse(startedAt) - Date.parse(createdAt) },
    usage,
    workflows: [{ name: plan.name, status, steps }],
    artifacts,
    log: log.totals,
  };
}

/** Images and source, side by side. */
async function prepare(
  { plan, source }: BuildRequest,
  { resolveImage }: BuildTools,
): Promise<{ source: BuildSource; images: Map<string, Image> }> {
  const refs = plan.steps.map(({ container }) => (container.kind === 'own' ? container.image : plan.image));
  const unique = [...new Set(refs.filter((ref) => ref !== undefined))];
  const [described, images] = await Promise.all([
    source(),
    Promise.all(unique.map(async (ref) => [ref, await resolveImage(ref)] as const)),
  ]);
  return { source: described, images: new Map(images) };
}

function openSandbox(
  id: string,
  { plan }: BuildRequest,
  { driver }: BuildTools,
  source: BuildSource,
): Sandbox {
  return driver.open({
    id,
    limits: plan.limits,
    workspace: {
      path: workspacePath,
      sources: source.directories,
      hidden: source.hidden,
      ...(source.locks && { locks: source.locks }),
    },
  });
}

function outcomeOf(steps: readonly StepRecord[], plan: Plan, abort: Abort): Outcome {
  if (abort.reason === 'timeout') return { status: 'timed_out', reason: 'timeout' };
  if (abort.reason === 'canceled') return { status: 'canceled', reason: 'canceled' };
  const failed = steps.find(({ status }, i) => status === 'failed' && plan.steps[i]?.onFailure === 'fail');
  if (!failed) return { status: 'passed' };
  const { reason } = failed;
  return {
    status: 'failed',
    reason: reason === 'oom' || reason === 'disk' || reason === 'pids' ? reason : 'exit',
  };
}

/** How long a build that timed out may hand over what it has. */
const timedOutCollectMs = 60_000;

/** A canceled build hands over nothing: it should be gone at once. */
async function collect(
  sandbox: Sandbox,
  { plan, artifactCaps }: BuildRequest,
  { artifacts, events, abort }: BuildTools,
  mask: Mask,
  { status }: Outcome,
): Promise<ArtifactRecord[]> {
  if (status === 'canceled') return [];
  const result = status === 'passed' ? 'success' : 'failure';
  const wanted = plan.artifacts.filter(({ when }) => when === 'always' || when === result);
  const collecting = collectArtifacts(sandbox, wanted, artifacts, artifactCaps, (message) =>
    events.warning(mask.text(message)),
  );
  const limit = abort.reason === 'timeout' ? AbortSignal.timeout(timedOutCollectMs) : abort.stopping;
  const records = await unlessAborted(limit, collecting);
  for (const record of records) events.artifact(record);
  return records;
}

/** Messages may quote what the build did. */
function withoutSecrets(outcome: Outcome, mask: Mask): Outcome {
  if (!('message' in outcome) || outcome.message === undefined) return outcome;
  return { ...outcome, message: mask.text(outcome.message) };
}

/** What an exception makes of a build. A verdict that stands already stays, unless there is less to show for it. */
function afterError(error: unknown, verdict: Outcome | undefined, abort: Abort): Outcome {
  if (error instanceof AbortedError || (abort.reason === 'canceled' && !verdict)) {
    return abort.reason === 'timeout'
      ? { status: 'timed_out', reason: 'timeout' }
      : { status: 'canceled', reason: 'canceled' };
  }
  const message = error instanceof Error ? error.message : String(error);
  if (verdict?.status === 'failed' || verdict?.status === 'errored') return { ...verdict, message };
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
