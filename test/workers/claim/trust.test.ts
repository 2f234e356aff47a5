import { describe, expect, test } from 'vitest';
import { defaultLimits } from '../../../src/limits.ts';
import type { UntrustedPolicy } from '../../../src/repositories.ts';
import { type Network, type Plan, planDefaults } from '../../../src/workflow/plan.ts';
import { clamp } from '../../../workers/claim/trust.ts';
import { randomFrom } from '../../random.ts';
import { step } from '../rehearsal.ts';

const GiB = 1024 ** 3;
const hour = 3_600_000;

type Amounts = UntrustedPolicy['limits'];

function planOf({ timeoutMs = hour, ...limits }: Amounts = {}): Plan {
  return {
    ...planDefaults,
    name: 'ci',
    file: 'ci',
    image: 'debian',
    steps: [step('a')],
    timeoutMs,
    limits: { ...defaultLimits, ...limits },
  };
}

const policyOf = (limits: Amounts = {}): UntrustedPolicy => ({ builds: 'run', network: 'none', limits });
const greedy: Required<Amounts> = {
  cpus: 64,
  memoryBytes: 64 * GiB,
  diskBytes: 1000 * GiB,
  pids: 100_000,
  timeoutMs: 168 * hour,
};
const amountsOf = ({ limits: { cpus, memoryBytes, diskBytes, pids }, timeoutMs }: Plan) => ({
  cpus,
  memoryBytes,
  diskBytes,
  pids,
  timeoutMs,
});

describe('an untrusted build gets no more than', () => {
  test('the policy says, whatever the target branch has', () => {
    const policy = { cpus: 1, memoryBytes: GiB, diskBytes: 2 * GiB, pids: 100, timeoutMs: 90_000 };
    for (const base of [undefined, planOf(), planOf(greedy)]) {
      const { plan, cuts } = clamp(planOf(greedy), base, policyOf(policy));
      expect(amountsOf(plan)).toEqual(policy);
      expect(cuts).toEqual([
        "cpus cut from 64 to 1: the repository's policy for untrusted builds",
        "memory cut from 64GiB to 1GiB: the repository's policy for untrusted builds",
        "disk cut from 1000GiB to 2GiB: the repository's policy for untrusted builds",
        "pids cut from 100000 to 100: the repository's policy for untrusted builds",
        "timeout cut from 168h to 1m30s: the repository's policy for untrusted builds",
      ]);
    }
  });

  test('the workflow of the target branch asks for, where the policy says nothing', () => {
    const base = planOf({ cpus: 4, memoryBytes: 8 * GiB, timeoutMs: 2 * hour });
    const { plan, cuts } = clamp(planOf(greedy), base, policyOf({ pids: 50 }));
    expect(amountsOf(plan)).toEqual({ ...amountsOf(base), pids: 50 });
    expect(cuts[1]).toBe('memory cut from 64GiB to 8GiB: the workflow of the target branch asks for no more');
  });

  test('a build that asks for nothing, where the target branch has no workflow', () => {
    const { plan, cuts } = clamp(planOf(greedy), undefined, policyOf());
    expect(amountsOf(plan)).toEqual(amountsOf(planOf()));
    expect(cuts[4]).toBe(
      'timeout cut from 168h to 1h: the default, as the target branch has no workflow that can be read',
    );
  });
});

test('what asks for less keeps it, and nothing is said', () => {
  const modest = planOf({ cpus: 0.5, memoryBytes: GiB / 2, diskBytes: GiB, pids: 64, timeoutMs: 60_000 });
  const { plan, cuts } = clamp(modest, planOf(greedy), policyOf());
  expect({ ...plan, network: modest.network }).toEqual(modest);
  expect(cuts).toEqual([]);
});

describe('the network of an untrusted build', () => {
  const none: Network = { kind: 'none' };
  const egress: Network = { kind: 'egress' };
  const allow: Network = { kind: 'allow', hosts: ['example.org'] };
  const silent: Network = { kind: 'default' };
  const cut = (asked: string) => [
    `network cut from ${asked} to none: the repository's policy for untrusted builds`,
  ];
  const table: readonly [
    asked: Network,
    policy: 'none' | 'egress',
    given: Network,
    cuts: readonly string[],
  ][] = [
    [none, 'none', none, []],
    [egress, 'none', none, cut('egress')],
    [allow, 'none', none, cut('allow')],
    [silent, 'none', none, []],
    [none, 'egress', none, []],
    [egress, 'egress', egress, []],
    [allow, 'egress', allow, []],
    [silent, 'egress', silent, []],
  ];

  test.each(table)('that asks for %o, by a policy of %s', (network, policy, given, cuts) => {
    const clamped = clamp({ ...planOf(), network }, undefined, { ...policyOf(), network: policy });
    expect([clamped.plan.network, clamped.cuts]).toEqual([given, cuts]);
  });
});

test('secrets are withheld, and named once', () => {
  const variable = { kind: 'variable', variable: 'A', secret: 'token' } as const;
  const file = { kind: 'file', file: 'key', secret: 'key' } as const;
  const steps: Plan['steps'] = [
    step('a', 'exit 0', { secrets: [variable, file] }),
    step('b', 'exit 0', { secrets: [variable] }),
  ];
  const { plan, cuts } = clamp({ ...planOf(), steps }, undefined, policyOf());
  expect(plan.steps).toEqual([step('a'), step('b')]);
  expect(cuts).toEqual(['secrets are withheld (token, key): this build is of somebody without write access']);
});

test('for all plans, policies and target branches, no amount exceeds its bound, and none is raised', () => {
  const random = randomFrom(4);
  const amounts = (): Required<Amounts> => ({
    cpus: (random(1000) + 1) / 10,
    memoryBytes: (random(1000) + 1) * 32 * 1024 ** 2,
    diskBytes: (random(1000) + 1) * 1024 ** 2,
    pids: 8 + random(5000),
    timeoutMs: 1000 * (1 + random(600_000)),
  });
  const keys = ['cpus', 'memoryBytes', 'diskBytes', 'pids', 'timeoutMs'] as const;
  for (let round = 0; round < 1000; round++) {
    const asked = amounts();
    const base = random(2) === 0 ? undefined : planOf(amounts());
    const all = amounts();
    const limits = Object.fromEntries(keys.flatMap((key) => (random(2) === 0 ? [] : [[key, all[key]]])));
    const policy = policyOf(limits);
    const { plan, cuts } = clamp(planOf(asked), base, policy);
    const bounds: Required<Amounts> = { ...amountsOf(base ?? planOf()), ...policy.limits };
    const got = amountsOf(plan);
    for (const key of keys) expect(got[key], key).toBe(Math.min(asked[key], bounds[key]));
    expect(cuts).toHaveLength(keys.filter((key) => asked[key] > bounds[key]).length);
    // The same again changes nothing.
    expect(clamp(plan, base, policy)).toEqual({ plan, cuts: [] });
  }
});
