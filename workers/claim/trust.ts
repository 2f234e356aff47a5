import type { UntrustedPolicy } from '../../src/repositories.ts';
import type { Limits } from '../../src/limits.ts';
import { defaultLimits } from '../../src/limits.ts';
import { defaultTimeoutMs, type Network, type Plan, type PlanStep } from '../../src/workflow/plan.ts';
import { writtenDuration, writtenSize } from '../../src/workflow/quantity.ts';

/** What a build may have at most, and why no more. */
interface Bound {
  readonly most: number;
  readonly because: string;
}

type Bounded = 'cpus' | 'memoryBytes' | 'diskBytes' | 'pids' | 'timeoutMs';

/** What a workflow asks for. */
export type Amounts = Pick<Plan, 'limits' | 'timeoutMs'>;

/** An untrusted build's plan, cut down to what it may have, and a line for the log for each thing that was cut. */
export interface Clamped {
  readonly plan: Plan;
  readonly cuts: readonly string[];
}

/**
 * Bounds what a stranger's workflow asks for: by the policy of the repository where that says a number, else by the
 * workflow of the branch that the change is for, else by the defaults. It gets no secrets whatever it names. Pure.
 *
 * @param base the workflow of the target branch; undefined: there is none, or none that can be read
 */
export function clamp(plan: Plan, base: Amounts | undefined, policy: UntrustedPolicy): Clamped {
  const cuts: string[] = [];
  const bounded = (key: Bounded, asked: number): number => {
    const { most, because } = boundOf(key, base, policy);
    if (asked <= most) return asked;
    const { name, written } = words[key];
    cuts.push(`${name} cut from ${written(asked)} to ${written(most)}: ${because}`);
    return most;
  };
  const limits: Limits = {
    ...plan.limits,
    cpus: bounded('cpus', plan.limits.cpus),
    memoryBytes: bounded('memoryBytes', plan.limits.memoryBytes),
    diskBytes: bounded('diskBytes', plan.limits.diskBytes),
    pids: bounded('pids', plan.limits.pids),
  };
  const timeoutMs = bounded('timeoutMs', plan.timeoutMs);
  const network: Network = policy.network === 'none' ? { kind: 'none' } : plan.network;
  if (network.kind !== plan.network.kind && plan.network.kind !== 'default') {
    cuts.push(`network cut from ${plan.network.kind} to none: the repository's policy for untrusted builds`);
  }
  const names = namedIn([...plan.steps, ...plan.services]);
  const [first, ...others] = plan.steps;
  const steps: Plan['steps'] = [withoutSecrets(first), ...others.map(withoutSecrets)];
  const services = plan.services.map(withoutSecrets);
  if (names.length > 0) {
    cuts.push(`secrets are withheld (${names.join(', ')}): this build is of somebody without write access`);
  }
  return { plan: { ...plan, limits, timeoutMs, network, steps, services }, cuts };
}

const words: Readonly<
  Record<Bounded, { readonly name: string; readonly written: (value: number) => string }>
> = {
  cpus: { name: 'cpus', written: String },
  memoryBytes: { name: 'memory', written: writtenSize },
  diskBytes: { name: 'disk', written: writtenSize },
  pids: { name: 'pids', written: String },
  timeoutMs: { name: 'timeout', written: writtenDuration },
};

function boundOf(key: Bounded, base: Amounts | undefined, { limits }: UntrustedPolicy): Bound {
  const byPolicy = limits[key];
  if (byPolicy !== undefined)
    return { most: byPolicy, because: "the repository's policy for untrusted builds" };
  if (base) {
    const most = key === 'timeoutMs' ? base.timeoutMs : base.limits[key];
    return { most, because: 'the workflow of the target branch asks for no more' };
  }
  const most = key === 'timeoutMs' ? defaultTimeoutMs : defaultLimits[key];
  return { most, because: 'the default, as the target branch has no workflow that can be read' };
}

type Named = Pick<PlanStep, 'secrets'>;

function withoutSecrets<Container extends Named>(container: Container): Container {
  return { ...container, secrets: [] };
}

function namedIn(containers: readonly Named[]): readonly string[] {
  return [...new Set(containers.flatMap(({ secrets }) => secrets.map(({ secret }) => secret)))];
}
