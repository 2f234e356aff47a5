import type { Repositories, Repository, UntrustedPolicy } from '../../src/repositories.ts';
import type { Secrets } from '../../src/secrets.ts';
import type { BuildSpec, GitSource } from '../../src/spec.ts';
import { UsageError } from '../../src/usage.ts';
import { planBuild } from '../../src/workflow/build-plan.ts';
import type { BuildPlan, Plan } from '../../src/workflow/plan.ts';
import { WorkflowError } from '../../src/workflow/problem.ts';
import type { WorkflowText } from '../../src/workflow/workflow-text.ts';
import type { SecretValues } from '../environment.ts';
import { namedSecrets } from './secrets.ts';
import { SourceError } from '../source.ts';
import { type Amounts, clamp } from './trust.ts';

/** Where a worker looks up what a build may have. */
export interface GrantTools {
  readonly repositories: Pick<Repositories, 'get'>;
  readonly secrets: Pick<Secrets, 'valuesFor'>;
  /**
   * The workflow files at a commit of the source's repository, or at what the ref has now; undefined: none there. Throws
   * SourceError, WorkflowError.
   */
  readonly workflowsAt: (source: GitSource, base: Base) => Promise<readonly WorkflowText[] | undefined>;
}

type Base = NonNullable<GitSource['base']>;

/** What a build is given. */
export interface Grant {
  /** As it is to run: with the variables of the build, and of an untrusted one cut down. */
  readonly plan: BuildPlan;
  readonly secrets: SecretValues;
  /** What its log says of it, a line each. */
  readonly notices: readonly string[];
}

/** For builds of repositories that are not registered. */
const strictest: UntrustedPolicy = { builds: 'approval', network: 'none', limits: {} };

/** The repository that a build is of; undefined: none is registered. */
export async function repositoryOf(
  { source, project }: BuildSpec,
  { repositories }: Pick<GrantTools, 'repositories'>,
): Promise<Repository | undefined> {
  const name = source.kind === 'git' ? source.repository : undefined;
  return await repositories.get(name ?? project);
}

/** The variables that come with a build: a stranger has none to give. */
export function environmentOf(
  spec: BuildSpec,
  repository: Repository | undefined,
): Readonly<Record<string, string>> {
  return spec.trust === 'untrusted' ? (repository?.defaults.environment ?? {}) : spec.environment;
}

/**
 * Decides what a build gets, by its trust alone: nothing in its source can change that. Throws UsageError when a
 * trusted build names a secret that it cannot have, and VaultError.
 */
export async function grantTo(
  spec: BuildSpec,
  plan: BuildPlan,
  repository: Repository | undefined,
  tools: GrantTools,
): Promise<Grant> {
  const environment = environmentOf(spec, repository);
  if (spec.trust === 'trusted') {
    const secrets = await secretsFor(spec, plan, tools);
    return { plan: everyWorkflow(plan, (each) => withEnvironment(each, environment)), secrets, notices: [] };
  }
  const base = await baseOf(spec, tools);
  const cuts = new Set<string>();
  const bounded = everyWorkflow(plan, (each) => {
    const clamped = clamp(each, amountsIn(base, each.file), repository?.untrusted ?? strictest);
    const whose = plan.workflows.length > 1 ? `${each.file}: ` : '';
    for (const cut of clamped.cuts) cuts.add(`${whose}${cut}`);
    return withEnvironment(clamped.plan, environment);
  });
  return { plan: bounded, secrets: new Map(), notices: [...cuts] };
}

function everyWorkflow({ workflows }: BuildPlan, change: (plan: Plan) => Plan): BuildPlan {
  const [first, ...others] = workflows;
  return { workflows: [change(first), ...others.map(change)] };
}

/** The most that the workflows of one file ask for; undefined: there is no such file. */
function amountsIn(base: BuildPlan | undefined, file: string): Amounts | undefined {
  const plans = base?.workflows.filter((plan) => plan.file === file) ?? [];
  const [first] = plans;
  if (!first) return undefined;
  const most = (of: (plan: Plan) => number) => Math.max(...plans.map(of));
  return {
    timeoutMs: most(({ timeoutMs }) => timeoutMs),
    limits: {
      ...first.limits,
      cpus: most(({ limits }) => limits.cpus),
      memoryBytes: most(({ limits }) => limits.memoryBytes),
      diskBytes: most(({ limits }) => limits.diskBytes),
      pids: most(({ limits }) => limits.pids),
    },
  };
}

/**
 * The plan of the target branch, as if every condition held. One that is not to be had, as its commit is gone, bounds nothing; the defaults do then.
 */
async function baseOf({ source }: BuildSpec, { workflowsAt }: GrantTools): Promise<BuildPlan | undefined> {
  if (source.kind !== 'git' || !source.base) return undefined;
  try {
    const files = await workflowsAt(source, source.base);
    const planned = files && planBuild(files, undefined);
    return planned?.kind === 'build' ? planned.build : undefined;
  } catch (error) {
    const gone = error instanceof SourceError && error.trouble === 'unusable';
    if (gone || error instanceof WorkflowError) return undefined;
    throw error;
  }
}

async function secretsFor(spec: BuildSpec, plan: BuildPlan, { secrets }: GrantTools): Promise<SecretValues> {
  const named = plan.workflows.flatMap(({ steps, services }) => [...steps, ...services]);
  if (named.every((each) => each.secrets.length === 0)) return new Map();
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
