import type { BuildCircumstances } from '../workflow/conditions.ts';

/** What `cofferdam lint` is told to suppose of a build. */
export interface Supposed {
  readonly event?: string;
  readonly branch?: string;
  readonly tag?: string;
  readonly cron?: string;
  readonly changed?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const platforms: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** A build as supposed; undefined: nothing is. What is not said follows from the rest. */
export function circumstancesOf(supposed: Supposed): BuildCircumstances | undefined {
  const { branch, tag, cron, changed, env } = supposed;
  const isNothing = [supposed.event, branch, tag, cron, changed].every((each) => each === undefined);
  if (isNothing && Object.keys(env).length === 0) return undefined;
  const event = supposed.event ?? (tag !== undefined ? 'tag' : cron !== undefined ? 'cron' : 'push');
  const onBranch = branch ?? (event === 'tag' || event === 'release' ? undefined : 'main');
  const ref = tag !== undefined ? `refs/tags/${tag}` : `refs/heads/${onBranch}`;
  return {
    variables: {
      CI_PIPELINE_EVENT: event,
      CI_COMMIT_REF: ref,
      ...(onBranch !== undefined && { CI_COMMIT_BRANCH: onBranch }),
      ...(tag !== undefined && { CI_COMMIT_TAG: tag }),
      ...env,
    },
    platform: `linux/${platforms[process.arch] ?? process.arch}`,
    cron,
    changed,
    where: 'service',
  };
}
