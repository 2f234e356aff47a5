import type { BuildRecord } from './build.ts';
import type { Records } from './records.ts';

/** How a branch fares, for people who look at its README. */
export type BranchState = 'passing' | 'failing' | 'errored' | 'running' | 'unknown';

/** Most badges need one build; anybody may ask for them. A branch with more builds without a verdict is not known. */
const pageSize = 10;
const mostPages = 10;

/**
 * The last verdict on a branch; when there is none yet, whether one is on its way. Canceled builds give none, and those of
 * pull requests are not of the branch.
 */
export async function branchState(
  records: Pick<Records, 'list'>,
  project: string,
  branch: string,
): Promise<BranchState> {
  let state: BranchState = 'unknown';
  let cursor: string | undefined;
  for (let pages = 0; pages < mostPages; pages++) {
    const page = { limit: pageSize, ...(cursor !== undefined && { cursor }) };
    const { builds, next } = await records.list({ project, branch }, page);
    for (const build of builds.filter(({ trigger }) => trigger.kind !== 'pull_request')) {
      const verdict = verdictOf(build);
      if (verdict) return verdict;
      if (build.status !== 'canceled') state = 'running';
    }
    if (next === undefined) break;
    cursor = next;
  }
  return state;
}

function verdictOf({ status }: BuildRecord): 'passing' | 'failing' | 'errored' | undefined {
  if (status === 'passed') return 'passing';
  if (status === 'failed' || status === 'timed_out') return 'failing';
  return status === 'errored' ? 'errored' : undefined;
}

/** What is shown of a state, in the names of shields. */
export function badgeOf(state: BranchState): {
  readonly label: string;
  readonly message: string;
  readonly color: string;
} {
  return { label: 'build', message: state, color: colors[state] };
}

const colors: Readonly<Record<BranchState, string>> = {
  passing: 'brightgreen',
  failing: 'red',
  errored: 'orange',
  running: 'blue',
  unknown: 'lightgrey',
};
