import type { Repository } from '../src/repositories.ts';
import type { Trigger } from '../src/trigger.ts';
import { version } from '../src/version.ts';
import type { Plan } from '../src/workflow/plan.ts';

/** What is known of a build when it begins. Texts of the trigger are a stranger's. */
export interface BuildFacts {
  readonly id: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly startedAt: string;
  readonly trigger: Trigger;
  /** `ref` in full, such as `refs/heads/main`, or a branch. */
  readonly git: { readonly ref?: string; readonly sha?: string };
  /** What follows only the service knows. `project` is `owner/name` or another path of words. */
  readonly project?: string;
  readonly number?: number;
  readonly repository?: Pick<Repository, 'name' | 'url' | 'forge' | 'defaultBranch'>;
  /** Where its page is. */
  readonly page?: string;
  /** Of the service, without a slash at the end. */
  readonly publicUrl?: string;
}

/** A variable of which nothing is known is left out, not empty. */
type Variables = Readonly<Record<string, string | number | undefined>>;

/**
 * The variables that Woodpecker documents for all steps of a build, as far as they are known here; what is known
 * nowhere is left out (test/workers/ci-variables.test.ts has the list).
 * Source: https://woodpecker-ci.org/docs/usage/environment#built-in-environment-variables
 */
export function buildVariables(facts: BuildFacts): Record<string, string> {
  return known({
    CI: 'true',
    COFFERDAM_BUILD_ID: facts.id,
    ...systemVariables(facts),
    ...repositoryVariables(facts),
    ...commitVariables(facts),
    ...previousVariables(facts.trigger),
    CI_PIPELINE_NUMBER: facts.number,
    CI_PIPELINE_EVENT: facts.trigger.kind,
    CI_PIPELINE_URL: facts.page,
    CI_PIPELINE_FORGE_URL: facts.trigger.url,
    CI_PIPELINE_CREATED: unixTime(facts.createdAt),
    CI_PIPELINE_STARTED: unixTime(facts.startedAt),
    CI_PIPELINE_AUTHOR: facts.trigger.actor,
  });
}

/** Those of one workflow, with its values of the matrix. */
export function workflowVariables({
  file,
  workspace,
  matrix,
}: Pick<Plan, 'file' | 'workspace' | 'matrix'>): Record<string, string> {
  return { ...matrix, ...known({ CI_WORKSPACE: workspace, CI_WORKFLOW_NAME: file }) };
}

/** Those of one step. `index` is its place in the workflow, from 0; `startedAt` is ISO 8601. */
export function stepVariables(name: string, index: number, startedAt: string): Record<string, string> {
  return known({ CI_STEP_NAME: name, CI_STEP_NUMBER: index, CI_STEP_STARTED: unixTime(startedAt) });
}

function systemVariables({ publicUrl }: BuildFacts): Variables {
  return {
    CI_SYSTEM_NAME: 'cofferdam',
    CI_SYSTEM_VERSION: version,
    CI_SYSTEM_URL: publicUrl,
    CI_SYSTEM_HOST: publicUrl === undefined ? undefined : URL.parse(publicUrl)?.host,
  };
}

function repositoryVariables({ project, repository }: BuildFacts): Variables {
  const name = repository?.name ?? project;
  const slash = name?.lastIndexOf('/') ?? -1;
  const url = repository?.url;
  const web = url?.startsWith('https://') ? url.replace(/\/?(\.git)?\/?$/, '') : undefined;
  return {
    CI_REPO: name,
    CI_REPO_OWNER: slash > 0 ? name?.slice(0, slash) : undefined,
    CI_REPO_NAME: name?.slice(slash + 1),
    CI_REPO_URL: web,
    CI_REPO_CLONE_URL: url,
    CI_REPO_CLONE_SSH_URL: url?.startsWith('ssh://') ? url : undefined,
    CI_REPO_DEFAULT_BRANCH: repository?.defaultBranch,
    CI_FORGE_TYPE: repository?.forge,
    // Also of a forge below a path; undefined where the repository has another name here than there.
    CI_FORGE_URL: web?.endsWith(`/${name}`) ? web.slice(0, -`/${name}`.length) : undefined,
  };
}

function commitVariables({ trigger, git }: BuildFacts): Variables {
  const ref = git.ref === undefined || git.ref.startsWith('refs/') ? git.ref : `refs/heads/${git.ref}`;
  const pull = trigger.kind === 'pull_request' ? trigger.pullRequest : undefined;
  return {
    CI_COMMIT_SHA: git.sha,
    CI_COMMIT_REF: ref,
    CI_COMMIT_BRANCH: branchOf(trigger) ?? partAfter('refs/heads/', ref),
    CI_COMMIT_TAG: trigger.kind === 'tag' ? trigger.tag : partAfter('refs/tags/', ref),
    CI_COMMIT_MESSAGE: trigger.commit?.message,
    CI_COMMIT_AUTHOR: trigger.commit?.author,
    CI_COMMIT_AUTHOR_EMAIL: trigger.commit?.email,
    ...(pull && {
      CI_COMMIT_REFSPEC: `${pull.sourceBranch}:${pull.targetBranch}`,
      CI_COMMIT_SOURCE_BRANCH: pull.sourceBranch,
      CI_COMMIT_TARGET_BRANCH: pull.targetBranch,
      CI_COMMIT_PULL_REQUEST: pull.number,
      CI_COMMIT_PULL_REQUEST_LABELS: pull.labels?.join(','),
    }),
  };
}

/** Of a pull request the one it is to be merged into. */
function branchOf(trigger: Trigger): string | undefined {
  if (trigger.kind === 'push' || trigger.kind === 'cron') return trigger.branch;
  return trigger.kind === 'pull_request' ? trigger.pullRequest.targetBranch : undefined;
}

/** Where the branch was before a push; forges write zeros for a branch that is new. */
function previousVariables(trigger: Trigger): Variables {
  if (trigger.kind !== 'push' || /^0*$/.test(trigger.before ?? '')) return {};
  return {
    CI_PREV_COMMIT_SHA: trigger.before,
    CI_PREV_COMMIT_REF: `refs/heads/${trigger.branch}`,
    CI_PREV_COMMIT_BRANCH: trigger.branch,
  };
}

function partAfter(prefix: string, text: string | undefined): string | undefined {
  return text?.startsWith(prefix) ? text.slice(prefix.length) : undefined;
}

function unixTime(time: string): number {
  return Math.floor(Date.parse(time) / 1000);
}

/** As for a workflow's own variables: no entry gets near MAX_ARG_STRLEN of Linux, 128 KiB, over which nothing starts. */
const mostCharacters = 32_000;

function known(variables: Variables): Record<string, string> {
  const texts = Object.entries(variables).flatMap(([name, value]) => {
    const text = value === undefined ? '' : inEnvironment(String(value));
    return text === '' ? [] : [[name, text] as const];
  });
  return Object.fromEntries(texts);
}

/** execve(2) takes no NUL. Not cut within a character. */
function inEnvironment(text: string): string {
  const short = text.replaceAll('\0', '').slice(0, mostCharacters);
  return short.isWellFormed() ? short : short.toWellFormed().replace(/\ufffd$/, '');
}
