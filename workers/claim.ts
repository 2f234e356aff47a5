import type { BuildRecord, Reason, WorkflowRecord } from '../src/build.ts';
import { UsageError } from '../src/usage.ts';
import { labelOf } from '../src/logs/label.ts';
import type { LogWriter } from '../src/logs.ts';
import type { Claim, Result } from '../src/queue/claim.ts';
import type { Records } from '../src/records.ts';
import { pageOf } from '../src/statuses/state.ts';
import type { Storage } from '../src/storage/storage.ts';
import { parseWorkflow } from '../src/workflow/parse.ts';
import type { BuildPlan, Plan } from '../src/workflow/plan.ts';
import { readWorkflow } from '../src/workflow/read.ts';
import { createAbort, unlessAborted } from './abort.ts';
import { defaultArtifactCaps } from './artifacts.ts';
import type { Budget } from './budget.ts';
import { type BuildRequest, type BuildSource, runBuild } from './build.ts';
import { type ClaimedSource, type ClaimedSources, workflowFile } from './claimed-source.ts';
import type { BuildEvents } from './events.ts';
import { type Grant, grantTo, type GrantTools } from './grants.ts';
import type { Machine } from './machine.ts';
import { createProgress, type Progress } from './progress.ts';
import { SourceError } from './source.ts';
import type { Stopping } from './stopping.ts';
import { storageArtifacts } from './storage-artifacts.ts';
import { recordOf } from './workflow.ts';

/** What a worker runs its builds with. */
export interface ClaimTools extends GrantTools {
  readonly machine: Machine;
  readonly storage: Storage;
  readonly records: Records;
  readonly sources: Pick<ClaimedSources, 'of'>;
  readonly budget: Budget;
  readonly openLog: (claim: Claim) => LogWriter;
  readonly logCapBytes: number;
  readonly stopping: Stopping;
  /** Where users reach the service, without a slash at the end; undefined: nobody said. */
  readonly publicUrl: string | undefined;
}

/** Failures of the platform that another try, on another machine, may not have. */
const transient: readonly Reason[] = ['sandbox', 'internal', 'registry', 'artifacts'];

/** Runs a claimed build to its result. Never throws for what the build did. */
export async function runClaim(claim: Claim, tools: ClaimTools): Promise<Result> {
  const { spec, fence } = claim;
  const { stopping } = tools;
  const stop = AbortSignal.any([claim.canceled, claim.lost, stopping.ending]);
  const stopped = (): Result =>
    cutShort(claim, stopping, canceled(record)) ?? { kind: 'finished', record: canceled(record) };
  const storage = { prefix: `builds/${spec.id}/attempts/${fence.attempt}/` };
  let opened: LogWriter | undefined;
  const openLog = () => (opened ??= tools.openLog(claim));
  let record = claim.record;
  let source: ClaimedSource;
  let grant: Grant;
  try {
    source = await unlessAborted(stop, sourceOf(claim, stop, openLog, tools));
    // The next attempt, and whoever looks at this one, takes the commit that the ref had now.
    record = { ...record, source: { ...source.build.git, ...record.source } };
    grant = await unlessAborted(stop, grantTo(spec, await planOf(claim, source), tools));
  } catch (error) {
    if (stop.aborted) return stopped();
    if (!opened) return refused(record, error);
    const { bytes } = await opened.close();
    return refused({ ...record, log: { ...record.log, bytes }, storage }, error);
  }
  const plan: BuildPlan = { workflows: [grant.plan] };
  const abort = createAbort();
  const log = openLog();
  // A stale fence shows at the next write of the log, and at the verdict.
  const progress = createProgress((state) => tools.records.progress(fence, state));
  const onCancel = () => abort.request('canceled');
  const onLost = () => {
    abort.request('canceled');
    abort.request('canceled');
  };
  const onEnding = () => (stopping.stage === 'canceling' ? onCancel() : onLost());
  const unlisten = onAborts([
    [claim.canceled, onCancel],
    [claim.lost, onLost],
    [stopping.ending, onEnding],
  ]);
  try {
    const events = eventsOf(record, plan, log, progress);
    for (const notice of grant.notices) events.warning(notice);
    const built = await runBuild(
      {
        plan,
        repo: record.source.repo,
        about: aboutOf(claim, grant, tools),
        secrets: grant.secrets,
        source: () => Promise.resolve({ ...source.build, git: commitOf(record) }),
        logCapBytes: tools.logCapBytes,
        artifactCaps: defaultArtifactCaps,
        accepted: { id: spec.id, attempt: fence.attempt, createdAt: record.createdAt },
      },
      {
        driver: tools.machine.driver,
        resolveImage: (ref, pull) => tools.machine.images.resolve(ref, { pull }),
        budget: tools.budget,
        artifacts: storageArtifacts(tools.storage, `${storage.prefix}artifacts/`),
        events,
        abort,
      },
    );
    const ended = {
      ...record,
      ...built,
      source: { ...built.source, ...record.source },
      storage,
    };
    const cut = cutShort(claim, stopping, ended);
    if (cut?.kind === 'requeue') return cut;
    await log.close();
    return cut ?? resultOf(ended);
  } finally {
    progress.stop();
    unlisten();
  }
}

function sourceOf(
  { spec, record }: Claim,
  signal: AbortSignal,
  openLog: () => LogWriter,
  { sources }: ClaimTools,
): Promise<ClaimedSource> {
  const progress = (line: string) => {
    const text = Buffer.from(`[cofferdam: ${line}]\n`);
    // A log that cannot take it fails the next append too, which tells.
    void Promise.resolve(openLog().append('source', text)).catch(() => {});
  };
  return sources.of(spec, record.source.sha, { signal, progress });
}

async function planOf({ spec }: Claim, { workflows }: ClaimedSource): Promise<Plan> {
  if (spec.workflow !== undefined) return parseWorkflow(spec.workflow, 'workflow.yaml');
  if (workflows === undefined) throw new UsageError('a build without a source needs a workflow');
  return readWorkflow(await workflowFile(workflows));
}

/** The build cannot begin: what was sent in is wrong, or is not to be had. */
function refused(record: BuildRecord, error: unknown): Result {
  const message = error instanceof Error ? error.message : String(error);
  const finishedAt = new Date().toISOString();
  if (error instanceof UsageError) {
    return {
      kind: 'finished',
      record: { ...record, status: 'failed', reason: 'invalid', message, finishedAt },
    };
  }
  const reason = error instanceof SourceError ? 'source' : 'internal';
  const errored: BuildRecord = { ...record, status: 'errored', reason, message, finishedAt };
  return error instanceof SourceError && error.trouble === 'unusable'
    ? { kind: 'finished', record: errored }
    : { kind: 'infrastructure', record: errored, reason, message };
}

function canceled(record: BuildRecord): BuildRecord {
  return { ...record, status: 'canceled', reason: 'canceled', finishedAt: new Date().toISOString() };
}

/** What becomes of a build that nobody but its worker stopped; undefined: it ended otherwise, and that stays. */
function cutShort(claim: Claim, { stage }: Stopping, record: BuildRecord): Result | undefined {
  if (record.status !== 'canceled' || claim.canceled.aborted) return undefined;
  if (stage !== 'canceling') return { kind: 'requeue', reason: 'the worker was stopped' };
  const message = `its worker was told to stop at once; cofferdam retry ${record.id} builds it again`;
  return { kind: 'finished', record: { ...record, message } };
}

/** Calls back at each signal, also at those that are aborted already; returns what ends that. */
function onAborts(listeners: readonly (readonly [AbortSignal, () => void])[]): () => void {
  for (const [signal, listener] of listeners) {
    signal.addEventListener('abort', listener);
    if (signal.aborted) listener();
  }
  return () => {
    for (const [signal, listener] of listeners) signal.removeEventListener('abort', listener);
  };
}

function resultOf(record: BuildRecord): Result {
  const { status, reason, message = '' } = record;
  if (status === 'errored' && reason && transient.includes(reason)) {
    return { kind: 'infrastructure', record, reason, message };
  }
  return { kind: 'finished', record };
}

/** What the build is of, as far as whoever asked or the source told. */
function commitOf({ source: { ref, sha } }: BuildRecord): BuildSource['git'] {
  return { ...(ref !== undefined && { ref }), ...(sha !== undefined && { sha }) };
}

/** What the variables of a build tell of it. */
function aboutOf(
  { spec, record }: Claim,
  { repository }: Grant,
  { publicUrl }: ClaimTools,
): BuildRequest['about'] {
  return {
    trigger: spec.trigger,
    project: spec.project,
    ...(record.number !== undefined && { number: record.number }),
    ...(repository && { repository }),
    ...(publicUrl !== undefined && { publicUrl, page: pageOf(spec.id, publicUrl) }),
  };
}

/** What the build does, for those who follow it: the log, and the record at each change. */
function eventsOf(record: BuildRecord, plan: BuildPlan, log: LogWriter, progress: Progress): BuildEvents {
  const startedAt = new Date().toISOString();
  const workflows = new Map<string, WorkflowRecord>(
    plan.workflows.map((each) => [each.name, recordOf(each, 'queued')]),
  );
  const [first] = plan.workflows;
  let label = labelOf({ workflow: first.name, step: first.steps[0].name });
  const say = (text: string) => log.append(label, Buffer.from(`[cofferdam: ${text}]\n`));
  const change = (changed: WorkflowRecord) => {
    workflows.set(changed.name, changed);
    progress.report({ ...record, status: 'running', startedAt, workflows: [...workflows.values()] });
  };
  const changeIn = (name: string, by: (workflow: WorkflowRecord) => WorkflowRecord) => {
    const workflow = workflows.get(name);
    if (workflow) change(by(workflow));
  };
  return {
    progress: () => {},
    // A log that cannot take a warning fails the next append too, which tells.
    warning: (text) => void Promise.resolve(say(text)).catch(() => {}),
    workflow: change,
    step: (step, name) =>
      changeIn(name, (workflow) => ({ ...workflow, steps: withChange(workflow.steps, step) })),
    service: (service, name) =>
      changeIn(name, (workflow) => ({ ...workflow, services: withChange(workflow.services ?? [], service) })),
    chunk: (from, chunk) => {
      label = from;
      return log.append(from, chunk);
    },
    cutBegins: () => {},
    cutEnds: (bytes) => {
      log.mark(bytes);
      return say(`${bytes} bytes of the log were cut here`);
    },
    artifact: () => {},
  };
}

function withChange<Named extends { readonly name: string }>(all: readonly Named[], changed: Named): Named[] {
  return all.map((each) => (each.name === changed.name ? changed : each));
}
