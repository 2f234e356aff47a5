import { describe, expect, test } from 'vitest';
import type { Repository } from '../../../src/repositories.ts';
import type { BuildSpec } from '../../../src/spec.ts';
import { UsageError } from '../../../src/usage.ts';
import type { BuildPlan } from '../../../src/workflow/plan.ts';
import { planBuild } from '../../../src/workflow/build-plan.ts';
import { grantTo, type GrantTools, repositoryOf } from '../../../workers/claim/grants.ts';
import { SourceError } from '../../../workers/source.ts';

const repository: Repository = {
  name: 'a/b',
  url: 'https://example.org/a/b.git',
  forge: 'github',
  defaultBranch: 'main',
  events: ['push', 'pull_request'],
  untrusted: { builds: 'run', network: 'none', limits: { cpus: 1 } },
  supersede: [],
  defaults: { environment: { FROM: 'the repository' } },
  checkout: { submodules: 'none', lfs: 'none', paths: [] },
  hosts: 'public',
  crons: [],
  badge: 'private',
  createdAt: '2026-01-01T00:00:00.000Z',
};

const spec: BuildSpec = {
  id: '01J0000000000000000000000A',
  project: 'a/b',
  source: {
    kind: 'git',
    url: repository.url,
    repository: 'a/b',
    repo: 'a/b',
    base: { ref: 'refs/heads/main', sha: 'b'.repeat(40) },
  },
  environment: { FROM: 'whoever asked' },
  priority: 5,
  labels: {},
  requestedBy: 'hook:a/b',
  trigger: { kind: 'push', branch: 'main' },
  trust: 'trusted',
};
const untrusted: BuildSpec = { ...spec, trust: 'untrusted' };

function planOf(text: string): BuildPlan {
  const planned = planBuild([{ file: '.cofferdam.yaml', text }], undefined);
  if (planned.kind === 'nothing') throw new Error('nothing to run');
  return planned.build;
}
const plan = planOf(
  `image: a
resources: { cpus: 8, memory: 16GiB }
steps:
  - { name: one, commands: x, environment: { FROM: the workflow } }
  - { name: two, commands: x, environment: { TOKEN: { from_secret: token } } }
`,
);

/** `asked`: for whose secrets, if any. */
function tools(values: Readonly<Record<string, string>>, base?: string) {
  const asked: string[] = [];
  const looked: GrantTools = {
    repositories: { get: async (name) => (name === 'a/b' ? repository : undefined) },
    secrets: {
      valuesFor: async (name, trigger) => {
        asked.push(`${name} ${trigger}`);
        return new Map(Object.entries(values));
      },
    },
    workflowsAt: async (source, { sha }) =>
      sha === 'b'.repeat(40) && source.repository === 'a/b' && base !== undefined
        ? [{ file: '.cofferdam.yaml', text: base }]
        : undefined,
  };
  return { asked, looked };
}

/** What a build of that plan gets, of which there is one workflow. */
async function granted(to: BuildSpec, what: BuildPlan, looked: GrantTools) {
  const grant = await grantTo(to, what, await repositoryOf(to, looked), looked);
  return { ...grant, plan: grant.plan.workflows[0] };
}

describe('a trusted build', () => {
  test('gets what it asks for: its limits, its own variables, and of the secrets those that it names', async () => {
    const { looked, asked } = tools({ token: 'secret-value', other: 'other-value' });
    const grant = await granted(spec, plan, looked);
    expect(grant.plan.limits).toEqual(plan.workflows[0].limits);
    expect(grant.plan.steps[0].environment).toEqual({ FROM: 'whoever asked' });
    expect([...grant.secrets]).toEqual([['token', 'secret-value']]);
    expect(grant.notices).toEqual([]);
    expect(asked).toEqual(['a/b push']);
  });

  test('that names a secret that is not there is invalid, before anything starts', async () => {
    const refused = granted(spec, plan, tools({ other: 'other-value' }).looked);
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(
      "step 'two' names the secret 'token', and a/b has none of that name for builds by push; " +
        'cofferdam secret set makes one',
    );
  });

  test('whose secrets are too much to be masked is invalid too', async () => {
    const refused = granted(spec, plan, tools({ token: 'x'.repeat(128 * 1024 + 1) }).looked);
    await expect(refused).rejects.toThrow(/131073 bytes together, and no more than 128 KiB/);
  });

  test('that names none has none looked up', async () => {
    const { looked, asked } = tools({});
    const none = planOf('image: a\nsteps: [{ commands: x }]\n');
    expect((await granted(spec, none, looked)).secrets.size).toBe(0);
    expect(asked).toEqual([]);
  });
});

describe('an untrusted build', () => {
  test('has no secret looked up, whatever it names, and says so', async () => {
    const { looked, asked } = tools({ token: 'secret-value' });
    const grant = await granted(untrusted, plan, looked);
    expect(asked).toEqual([]);
    expect(grant.secrets.size).toBe(0);
    expect(grant.plan.steps.flatMap(({ secrets }) => secrets)).toEqual([]);
    expect(grant.plan.steps[1]?.environment).not.toHaveProperty('TOKEN');
    expect(grant.notices.join()).toContain('secrets are withheld (token)');
  });

  test("has the repository's variables alone, not those of whoever asked", async () => {
    const grant = await granted(untrusted, plan, tools({}).looked);
    expect(grant.plan.steps[0].environment).toEqual({ FROM: 'the repository' });
  });

  test('is bounded by the policy and the workflow at the base', async () => {
    const base = 'image: a\nresources: { cpus: 4, memory: 8GiB }\nsteps: [{ commands: x }]\n';
    const { limits } = (await granted(untrusted, plan, tools({}, base).looked)).plan;
    expect([limits.cpus, limits.memoryBytes]).toEqual([1, 8 * 1024 ** 3]);
  });

  test.each([
    ['that is none', 'steps: 5'],
    ['that is not there', undefined],
  ])('is bounded by the defaults, with a workflow at the base %s', async (_, base) => {
    const { limits } = (await granted(untrusted, plan, tools({}, base).looked)).plan;
    expect(limits.memoryBytes).toBe(4 * 1024 ** 3);
  });

  test('is bounded by the defaults, when the commit at the base is gone', async () => {
    const gone = async () => Promise.reject(new SourceError('no such commit'));
    const { limits } = (await granted(untrusted, plan, { ...tools({}).looked, workflowsAt: gone })).plan;
    expect(limits.memoryBytes).toBe(4 * 1024 ** 3);
  });

  test('waits for another try, when the repository cannot be reached', async () => {
    const away = async () => Promise.reject(new SourceError('no answer', { trouble: 'unavailable' }));
    const refused = granted(untrusted, plan, { ...tools({}).looked, workflowsAt: away });
    await expect(refused).rejects.toThrow('no answer');
  });

  test('of a repository that nobody registered gets the defaults', async () => {
    const elsewhere: BuildSpec = { ...untrusted, project: 'c/d', source: { kind: 'none' } };
    const grant = await granted(elsewhere, plan, tools({}).looked);
    expect(grant.plan.limits.cpus).toBe(2);
    expect(grant.plan.steps[0].environment).toEqual({ FROM: 'the workflow' });
  });
});
