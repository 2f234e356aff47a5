import { machineArchitecture } from '../runtime/images/architecture.ts';
import type { BuildCircumstances } from '../src/workflow/conditions.ts';
import type { Trigger } from '../src/trigger.ts';
import { type BuildFacts, buildVariables } from './ci-variables.ts';
import { commitOf } from './source.ts';

/** What is known besides the facts when a build is planned. */
export interface Surroundings {
  /** Variables that came with the build. */
  readonly environment: Readonly<Record<string, string>>;
  /** Paths of the changed files; undefined: nobody knows. */
  readonly changed: readonly string[] | undefined;
  readonly where: BuildCircumstances['where'];
}

/** What this machine runs, as OCI names it: `linux/amd64`. */
export const thisPlatform = `linux/${machineArchitecture()}`;

/** What the conditions and variables of workflow files are judged by. */
export function circumstancesOf(
  facts: BuildFacts,
  { environment, changed, where }: Surroundings,
): BuildCircumstances {
  return {
    variables: { ...environment, ...buildVariables(facts) },
    platform: thisPlatform,
    cron: facts.trigger.kind === 'cron' ? facts.trigger.name : undefined,
    changed,
    where,
  };
}

/** What a build of a directory of this machine can be taken for. */
export const localEvents = ['manual', 'push'] as const;
export type LocalEvent = (typeof localEvents)[number];

/** What made such a build. */
export function localTrigger(event: LocalEvent, directory: string): Trigger {
  if (event === 'manual') return { kind: 'manual' };
  const { ref = '' } = commitOf(directory);
  return { kind: 'push', branch: ref.replace(/^refs\/heads\//, '') || 'main' };
}

/** Its circumstances. Nobody knows what changed: every condition on paths holds. */
export function localCircumstances(
  directory: string,
  event: LocalEvent,
  environment: Readonly<Record<string, string>>,
): BuildCircumstances {
  const now = new Date().toISOString();
  const trigger = localTrigger(event, directory);
  const facts = { id: '', createdAt: now, startedAt: now, trigger, git: commitOf(directory) };
  return circumstancesOf(facts, { environment, changed: undefined, where: 'local' });
}
