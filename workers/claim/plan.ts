import type { BuildRecord } from '../../src/build.ts';
import type { BuildSpec } from '../../src/spec.ts';
import { pageOf } from '../../src/statuses/state.ts';
import { UsageError } from '../../src/usage.ts';
import { planBuild } from '../../src/workflow/build-plan.ts';
import { render } from '../../src/workflow/problem.ts';
import type { WorkflowText } from '../../src/workflow/workflow-text.ts';
import type { BuildRequest, BuildSource } from '../build.ts';
import type { ClaimedSource } from './source.ts';
import { environmentOf, type Grant, grantTo, type GrantTools, repositoryOf } from './grants.ts';
import { circumstancesOf } from '../planning.ts';

/** What a claimed build comes to. */
export type ClaimedPlan =
  | { readonly kind: 'build'; readonly grant: Grant; readonly about: BuildRequest['about'] }
  /** None of its workflows is for it. */
  | { readonly kind: 'nothing'; readonly message: string };

export interface ClaimedPlanTools extends GrantTools {
  /** Where users reach the service, without a slash at the end; undefined: nobody said. */
  readonly publicUrl: string | undefined;
}

/**
 * Plans a build from its source, and decides what it gets. Throws WorkflowError, UsageError, SourceError, VaultError.
 * @param record as far as it is known by now
 */
export async function planClaimed(
  spec: BuildSpec,
  record: BuildRecord,
  source: ClaimedSource,
  tools: ClaimedPlanTools,
): Promise<ClaimedPlan> {
  const repository = await repositoryOf(spec, tools);
  const { publicUrl } = tools;
  const about: BuildRequest['about'] = {
    trigger: spec.trigger,
    project: spec.project,
    ...(record.number !== undefined && { number: record.number }),
    ...(repository && { repository }),
    ...(publicUrl !== undefined && { publicUrl, page: pageOf(spec.id, publicUrl) }),
  };
  const files = await filesOf(spec, source);
  const { id, createdAt, startedAt = createdAt } = record;
  const facts = { ...about, id, createdAt, startedAt, git: commitOf(record) };
  const circumstances = circumstancesOf(facts, {
    environment: environmentOf(spec, repository),
    changed: await changedOf(files, source),
    where: 'service',
  });
  const planned = planBuild(files, circumstances);
  if (planned.kind === 'nothing') {
    const why = planned.leftOut.map((each) => `${each.name}: ${each.why}`).join('; ');
    return { kind: 'nothing', message: `no workflow is for this build (${why})` };
  }
  const grant = await grantTo(spec, planned.build, repository, tools);
  return {
    kind: 'build',
    about,
    grant: { ...grant, notices: [...planned.warnings.map(render), ...grant.notices] },
  };
}

async function filesOf(
  { workflow }: BuildSpec,
  { workflows }: ClaimedSource,
): Promise<readonly WorkflowText[]> {
  if (workflow !== undefined) return [{ file: 'workflow.yaml', text: workflow }];
  if (workflows === undefined) throw new UsageError('a build without a source needs a workflow');
  return await workflows();
}

/** Looked up only where a condition may ask for it: it takes a process. */
async function changedOf(
  files: readonly WorkflowText[],
  source: ClaimedSource,
): Promise<readonly string[] | undefined> {
  return files.some(({ text }) => /\bpath\b/.test(text)) ? await source.changed() : undefined;
}

/** What the build is of, as far as whoever asked or the source told. */
export function commitOf({ source: { ref, sha } }: BuildRecord): BuildSource['git'] {
  return { ...(ref !== undefined && { ref }), ...(sha !== undefined && { sha }) };
}
