import type { BuildRecord } from './build.ts';
import type { Records } from './records.ts';

/** How a branch fares, for people who look at its README. */
export type BranchState = 'passing' | 'failing' | 'errored' | 'running' | 'unknown';

/** Builds of a branch that are looked at: one that has more without a verdict is not known. */
const mostLookedAt = 100;

/**
 * The last verdict on a branch; when there is none yet, whether one is on its way. Canceled builds give none, and those of
 * pull requests are not of the branch.
 */
export async function branchState(
  records: Pick<Records, 'list'>,
  project: string,
  branch: string,
): Promise<BranchState> {
  const { builds } = await records.list({ project, branch }, { limit: mostLookedAt });
  const own = builds.filter(({ trigger }) => trigger.kind !== 'pull_request');
  for (const build of own) {
    const verdict = verdictOf(build);
    if (verdict) return verdict;
  }
  return own.some(({ status }) => status === 'queued' || status === 'running') ? 'running' : 'unknown';
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
