import type { BuildRecord } from '../src/build.ts';
import type { LogWriter } from '../src/logs.ts';
import type { Claim, Result } from '../src/queue/claim.ts';
import { inWords } from '../src/queue/turn.ts';
import type { Records } from '../src/records.ts';
import type { Storage } from '../src/storage/storage.ts';
import { UsageError } from '../src/usage.ts';
import { createAbort, unlessAborted } from './abort.ts';
import { defaultArtifactCaps } from './artifacts.ts';
import type { Budget } from './budget.ts';
import type { Caches } from './caches.ts';
import { runBuild } from './build.ts';
import { claimEvents } from './claim/events.ts';
import { resultOf } from './claim/result.ts';
import { type ClaimedPlan, type ClaimedPlanTools, commitOf, planClaimed } from './claim/plan.ts';
import type { ClaimedSource, ClaimedSources } from './claim/source.ts';
import { hasLabels, labelsOf } from './claim/labels.ts';
import type { Machine } from './machine.ts';
import { createProgress } from './claim/progress.ts';
import { SourceError } from './source.ts';
import type { Stopping } from './stopping.ts';
import { storageArtifacts } from './artifacts/storage.ts';
import { announcementOf } from './turns.ts';

/** What a worker runs its builds with. */
export interface ClaimTools extends ClaimedPlanTools {
  readonly machine: {
    readonly driver: Machine['driver'];
    readonly images: Pick<Machine['images'], 'resolve'>;
  };
  readonly storage: Storage;
  readonly records: Pick<Records, 'progress'>;
  readonly sources: Pick<ClaimedSources, 'of'>;
  readonly caches: Pick<Caches, 'of'>;
  readonly budget: Budget;
  readonly openLog: (claim: Claim) => LogWriter;
  readonly logCapBytes: number;
  readonly stopping: Stopping;
  /** What this worker offers. */
  readonly labels: Readonly<Record<string, string>>;
}

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
  let planned: ClaimedPlan;
  let labels: Readonly<Record<string, string>> = {};
  try {
    source = await unlessAborted(stop, sourceOf(claim, stop, openLog, tools));
    // The next attempt, and whoever looks at this one, takes the commit that the ref had now.
    record = { ...record, source: { ...source.build.git, ...record.source } };
    planned = await unlessAborted(stop, planClaimed(spec, record, source, tools));
    if (planned.kind === 'build') labels = labelsOf(planned.grant.plan, spec.labels);
  } catch (error) {
    if (stop.aborted) return stopped();
    return refused(await withLog(record, opened, storage), error);
  }
  if (planned.kind === 'nothing') {
    const { message } = planned;
    const finishedAt = new Date().toISOString();
    const ended = await withLog(record, opened, storage);
    return { kind: 'finished', record: { ...ended, status: 'passed', message, finishedAt } };
  }
  if (!hasLabels(tools.labels, labels)) {
    const reason = 'its workflows ask for labels that this worker does not have';
    return { kind: 'requeue', reason, labels, record };
  }
  const { grant, about } = planned;
  const { plan } = grant;
  const announced = await claim.announce(announcementOf(plan, spec.trust), stop).catch(() => undefined);
  if (!announced) return stopped();
  if (announced.kind === 'aside') {
    return { kind: 'aside', reason: `waits for ${inWords(announced.blocker)}`, record };
  }
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
    const events = claimEvents(record, plan, log, progress);
    for (const notice of grant.notices) events.warning(notice);
    const built = await runBuild(
      {
        plan,
        repo: record.source.repo,
        about,
        secrets: grant.secrets,
        source: () => Promise.resolve({ ...source.build, git: commitOf(record) }),
        logCapBytes: tools.logCapBytes,
        artifactCaps: defaultArtifactCaps,
        accepted: { id: spec.id, attempt: fence.attempt, createdAt: record.createdAt },
      },
      {
        driver: tools.machine.driver,
        resolveImage: (ref, pull) =>
          tools.machine.images.resolve(ref, {
            pull,
            progress: (line) => events.progress(`image ${ref}: ${line}`),
          }),
        caches: tools.caches.of(spec),
        turns: announced.turns,
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
    const { bytes } = await log.close();
    return cut ? { ...cut, record: withLogged(cut.record, bytes) } : resultOf(withLogged(ended, bytes), plan);
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

/** The record of a build that does not run, with the log of what was told of its source. */
async function withLog(
  record: BuildRecord,
  opened: LogWriter | undefined,
  storage: { readonly prefix: string },
): Promise<BuildRecord> {
  if (!opened) return record;
  const { bytes } = await opened.close();
  return { ...withLogged(record, bytes), storage };
}

/** @param bytes of the stored log, in which are also lines of the platform that the build did not write */
function withLogged(record: BuildRecord, bytes: number): BuildRecord {
  return { ...record, log: { ...record.log, bytes: bytes + record.log.cutBytes } };
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
function cutShort(
  claim: Claim,
  { stage }: Stopping,
  record: BuildRecord,
): Extract<Result, { kind: 'requeue' | 'finished' }> | undefined {
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
