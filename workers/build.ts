import { ulid } from 'ulid';
import type { Usage } from '../runtime/sandbox.ts';
import type { ArtifactStore } from '../src/artifacts.ts';
import type { BuildRecord, WorkflowRecord } from '../src/build.ts';
import type { BuildPlan } from '../src/workflow/plan.ts';
import { type Abort, createAbort } from './abort.ts';
import type { ArtifactCaps } from './artifacts.ts';
import { type BuildFacts, buildVariables } from './ci-variables.ts';
import { artifactCollection } from './artifacts/collection.ts';
import type { SecretValues } from './environment.ts';
import { runGraph } from './graph.ts';
import { createBuildLog } from './log.ts';
import { createMask } from './log/mask.ts';
import { outcomeOfBuild } from './outcome.ts';
import { createPhases } from './phases.ts';
import { recordOf, runWorkflow, type WorkflowContext, type WorkflowEnd } from './workflow.ts';

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
  readonly plan: BuildPlan;
  /** What the record calls the source. */
  readonly repo: string;
  /** Describes the source; called once. Throws SourceError. */
  readonly source: () => Promise<BuildSource>;
  /** What made it, and whose it is. */
  readonly about: Omit<BuildFacts, 'id' | 'createdAt' | 'startedAt' | 'git'>;
  /** Values of all that the plan names. */
  readonly secrets: SecretValues;
  readonly logCapBytes: number;
  readonly artifactCaps: ArtifactCaps;
  /** Who the build is, when a queue accepted it before; `createdAt` is ISO 8601. */
  readonly accepted?: { readonly id: string; readonly attempt: number; readonly createdAt: string };
}

/** What a build works with: an image's reference is resolved to a digest once for each workflow. */
export interface BuildTools
  extends Pick<WorkflowContext, 'driver' | 'resolveImage' | 'caches' | 'turns' | 'budget' | 'events'> {
  readonly artifacts: ArtifactStore;
  readonly abort: Abort;
}

/**
 * Runs a build from its plan to its record: each workflow in a sandbox of its own, side by side as far as they depend on
 * each other and the budget has room. A red build is a result, not an exception: whatever happens a record comes back,
 * and nothing of the sandboxes is left when it does.
 */
export async function runBuild(request: BuildRequest, tools: BuildTools): Promise<BuildRecord> {
  const { workflows } = request.plan;
  const { abort, events } = tools;
  const startedAt = new Date().toISOString();
  const { id, attempt, createdAt } = request.accepted ?? { id: ulid(), attempt: 1, createdAt: startedAt };
  const phases = createPhases();
  const log = createBuildLog(request.logCapBytes, events);
  const mask = createMask(request.secrets.values());
  const source = request.source();
  // Each workflow that runs asks it.
  source.catch(() => {});
  const all = createAbort(undefined, abort);
  const collection = artifactCollection(tools.artifacts, request.artifactCaps, events, mask);
  const records = new Map<string, WorkflowRecord>();
  const ends: (WorkflowEnd & { readonly name: string })[] = [];

  await runGraph(workflows, {
    stopped: () => all.reason !== undefined,
    skip: async (workflow, because) => {
      tools.turns.leave(workflow.name);
      const record: WorkflowRecord = {
        ...recordOf(workflow, 'skipped'),
        status: 'skipped',
        ...(because !== undefined && { because }),
      };
      records.set(workflow.name, record);
      await events.workflow(record);
    },
    run: async (workflow) => {
      const number = workflows.indexOf(workflow) + 1;
      const end = await runWorkflow(workflow, {
        ...tools,
        id: workflows.length === 1 ? `${id}-${attempt}` : `${id}-${attempt}-${number}`,
        source,
        variables: (git) => buildVariables({ ...request.about, id, createdAt, startedAt, git }),
        secrets: request.secrets,
        collect: collection.collect,
        phases,
        mask,
        log,
        abort: all,
        unwanted: abort.stopping,
        cancelAll: () => {
          if (all.reason === undefined) all.request('failure');
        },
      });
      records.set(workflow.name, end.record);
      ends.push({ ...end, name: workflow.name });
      return () => (end.outcome.status === 'passed' ? 'success' : 'failure');
    },
  });
  await log.finish();
  all.release();
  abort.release();

  const shown = workflows.map((workflow) => records.get(workflow.name) ?? recordOf(workflow, 'skipped'));
  const inOrder = workflows.flatMap(({ name }) => ends.filter((end) => end.name === name));
  const unfinished = shown.some(
    ({ status, because }) => status === 'canceled' || (status === 'skipped' && because === undefined),
  );
  const outcome = outcomeOfBuild(inOrder, abort.reason === 'canceled' && unfinished);
  const described = await source.catch(() => undefined);
  const finishedAt = new Date().toISOString();
  return {
    id,
    ...outcome,
    attempt,
    source: { repo: request.repo, ...described?.git },
    trigger: request.about.trigger,
    createdAt,
    startedAt,
    finishedAt,
    timings: { ...phases.timings, queuedMs: Date.parse(startedAt) - Date.parse(createdAt) },
    usage: usageOf(ends),
    workflows: shown,
    artifacts: inOrder.flatMap(({ artifacts }) => artifacts),
    log: log.totals,
  };
}

/** All processor time; of the rest what the largest of them had. */
function usageOf(ends: readonly WorkflowEnd[]): Usage {
  const most = (key: keyof Usage) => Math.max(0, ...ends.map(({ usage }) => usage[key]));
  return {
    cpuSeconds: ends.reduce((sum, { usage }) => sum + usage.cpuSeconds, 0),
    memoryPeakBytes: most('memoryPeakBytes'),
    diskPeakBytes: most('diskPeakBytes'),
  };
}
