import type { Repositories, Repository, UntrustedPolicy } from '../src/repositories.ts';
import type { Secrets } from '../src/secrets.ts';
import type { BuildSpec, GitSource } from '../src/spec.ts';
import { UsageError } from '../src/usage.ts';
import { parseWorkflow } from '../src/workflow/parse.ts';
import type { Plan } from '../src/workflow/plan.ts';
import { WorkflowError } from '../src/workflow/problem.ts';
import type { SecretValues } from './environment.ts';
import { namedSecrets } from './secrets.ts';
import { SourceError } from './source.ts';
import { clamp } from './trust.ts';

/** Where a worker looks up what a build may have. */
export interface GrantTools {
  readonly repositories: Pick<Repositories, 'get'>;
  readonly secrets: Pick<Secrets, 'valuesFor'>;
  /**
   * The text of the workflow at a commit of the source's repository, or at what the ref has now; undefined: none there.
   * Throws SourceError.
   */
  readonly workflowAt: (source: GitSource, base: Base) => Promise<string | undefined>;
}

type Base = NonNullable<GitSource['base']>;

/** What a build is given. */
export interface Grant {
  /** As it is to run: with the variables of the build, and of an untrusted one cut down. */
  readonly plan: Plan;
  readonly secrets: SecretValues;
  /** What its log says of it, a line each. */
  readonly notices: readonly string[];
  readonly repository: Repository | undefined;
}

/** For builds of repositories that are not registered. */
const strictest: UntrustedPolicy = { builds: 'approval', network: 'none', limits: {} };

/**
 * Decides what a build gets, by its trust alone: nothing in its source can change that. Throws UsageError when a
 * trusted build names a secret that it cannot have, and VaultError.
 */
export async function grantTo(spec: BuildSpec, plan: Plan, tools: GrantTools): Promise<Grant> {
  const name = spec.source.kind === 'git' ? spec.source.repository : undefined;
  const repository = await tools.repositories.get(name ?? spec.project);
  if (spec.trust === 'untrusted') {
    const base = await baseOf(spec, tools);
    const clamped = clamp(plan, base, repository?.untrusted ?? strictest);
    return {
      plan: withEnvironment(clamped.plan, repository?.defaults.environment ?? {}),
      secrets: new Map(),
      notices: clamped.cuts,
      repository,
    };
  }
  return {
    plan: withEnvironment(plan, spec.environment),
    secrets: await secretsFor(spec, plan, tools),
    notices: [],
    repository,
  };
}

/**
 * The plan of the target branch. One that is not to be had, as its commit is gone, bounds nothing; the defaults do then.
 */
async function baseOf({ source }: BuildSpec, { workflowAt }: GrantTools): Promise<Plan | undefined> {
  if (source.kind !== 'git' || !source.base) return undefined;
  try {
    const text = await workflowAt(source, source.base);
    return text === undefined ? undefined : parseWorkflow(text, 'workflow.yaml');
  } catch (error) {
    const gone = error instanceof SourceError && error.trouble === 'unusable';
    if (gone || error instanceof WorkflowError) return undefined;
    throw error;
  }
}

async function secretsFor(spec: BuildSpec, plan: Plan, { secrets }: GrantTools): Promise<SecretValues> {
  if (plan.steps.every((step) => step.secrets.length === 0)) return new Map();
  const values = await secrets.valuesFor(spec.project, spec.trigger.kind);
  return namedSecrets(plan, values, (step, secret) => {
    const place = `${spec.project} has none of that name for builds by ${spec.trigger.kind}`;
    return new UsageError(
      `step '${step}' names the secret '${secret}', and ${place}; cofferdam secret set makes one`,
    );
  });
}

function withEnvironment(plan: Plan, environment: Readonly<Record<string, string>>): Plan {
  const [first, ...others] = plan.steps;
  const add = (step: Plan['steps'][number]) => ({
    ...step,
    environment: { ...step.environment, ...environment },
  });
  return { ...plan, steps: [add(first), ...others.map(add)] };
}
