import { expect } from 'vitest';
import { type Failures, fakeDriver, type Script } from '../../runtime/fake/driver.ts';
import type { Image } from '../../runtime/images/image.ts';
import { artifactStore } from '../../src/artifacts.ts';
import type { BuildRecord } from '../../src/build.ts';
import { defaultLimits } from '../../src/limits.ts';
import { originOf } from '../../src/logs/label.ts';
import {
  type ArtifactPattern,
  type BuildPlan,
  type Plan,
  planDefaults,
  type PlanService,
  type PlanStep,
  stepDefaults,
} from '../../src/workflow/plan.ts';
import { type Abort, createAbort } from '../../workers/abort.ts';
import { defaultArtifactCaps } from '../../workers/artifacts.ts';
import { createBudget } from '../../workers/budget.ts';
import { noCaches } from '../../workers/caches.ts';
import { type BuildRequest, type BuildTools, runBuild } from '../../workers/build.ts';
import { localTurns } from '../../workers/turns.ts';

/** A step that runs one of the programs of `programs`; `exit 0` when nothing is said. */
export function step(name: string, words = 'exit 0', options: Partial<PlanStep> = {}): PlanStep {
  const [program = '', ...rest] = words.split(' ');
  return {
    ...stepDefaults,
    name,
    run: { kind: 'exec', args: [program, ...rest] },
    ...options,
  };
}

/** A service that runs such a program; ready when it runs. */
export function service(name: string, words: string, options: Partial<PlanService> = {}): PlanService {
  const { run } = step(name, words);
  const { directory, pull, environment, secrets } = stepDefaults;
  const ready = { kind: 'none', deadlineMs: 60_000 } as const;
  return {
    name,
    image: 'server',
    run,
    directory,
    pull,
    environment,
    secrets,
    ready,
    onFailure: 'fail',
    ...options,
  };
}

/** What can be run in a rehearsal; each word is an argument. */
const programs: Script = ({ args: [program, first = '', second = ''], env, secrets }) => {
  switch (program) {
    case 'exit':
      return { exit: { reason: 'exit', code: Number(first) } };
    case 'oom':
    case 'disk':
    case 'pids':
      return { exit: { reason: program, code: Number(first) } };
    case 'print':
      return { output: [first] };
    case 'env':
      return { output: [JSON.stringify(env)] };
    case 'secrets':
      return { output: [JSON.stringify(secrets)] };
    case 'write':
      return { writes: { [first]: second } };
    case 'sleep':
      return { output: ['zzz'], delayMs: 20_000 };
    case 'after':
      return { delayMs: Number(first), exit: { reason: 'exit', code: Number(second) } };
    default:
      throw new Error(`no such program: ${program}`);
  }
};

/** A workflow of such steps. */
export function workflow(
  name: string,
  steps: readonly [PlanStep, ...PlanStep[]],
  options: Partial<Plan> = {},
): Plan {
  return { ...planDefaults, name, file: name, image: 'debian', steps, limits: defaultLimits, ...options };
}

/** The steps, each after the one before it. */
function inTurn(steps: readonly [PlanStep, ...PlanStep[]]): readonly [PlanStep, ...PlanStep[]] {
  const [first, ...others] = steps;
  return [first, ...others.map((other, i) => ({ ...other, dependsOn: [steps[i]?.name ?? ''] }))];
}

export interface Scene {
  /** In turn, unless `plan` says otherwise. */
  readonly steps: readonly [PlanStep, ...PlanStep[]];
  readonly plan?: Partial<Plan>;
  /** Instead of a build of these steps alone. */
  readonly workflows?: BuildPlan['workflows'];
  readonly artifacts?: readonly ArtifactPattern[];
  /** Trouble of the sandbox. */
  readonly failures?: Failures;
  readonly request?: Partial<BuildRequest>;
  readonly tools?: Partial<Omit<BuildTools, 'events' | 'abort'>>;
  /** Called at each event, with its name, as in `step make running`. */
  readonly on?: (event: string, abort: Abort) => void | Promise<void>;
}

export interface Played {
  readonly record: BuildRecord;
  readonly events: readonly string[];
  /** Sandboxes that were opened, and how often one was destroyed. */
  readonly opened: number;
  readonly destroyed: number;
}

export const image = (ref: string): Image => ({
  ref,
  digest: `sha256:${ref}`,
  root: { layers: [], lock: '' },
  config: { env: ['FROM_IMAGE=yes'], workingDir: '/', user: '', entrypoint: [], cmd: [] },
});

/** Runs a build in a fake sandbox. */
export async function play(scene: Scene): Promise<Played> {
  const workflows = scene.workflows ?? [
    workflow('ci', inTurn(scene.steps), {
      timeoutMs: 60_000,
      artifacts: scene.artifacts ?? [],
      ...scene.plan,
    }),
  ];
  const abort = createAbort();
  /** Names are told as users know them where there is but one workflow. */
  const named = (name: string, of: string | undefined) => (workflows.length === 1 ? name : `${of}/${name}`);
  const events: string[] = [];
  const tell = async (event: string) => {
    events.push(event);
    await scene.on?.(event, abort);
  };
  let opened = 0;
  let destroyed = 0;
  const driver = scene.tools?.driver ?? fakeDriver(programs, scene.failures);
  const record = await runBuild(
    {
      plan: { workflows },
      repo: '/repo',
      about: { trigger: { kind: 'manual' } },
      secrets: new Map(),
      source: async () => ({
        directories: [import.meta.dirname],
        hidden: [],
        git: { ref: 'refs/heads/main' },
      }),
      logCapBytes: 1024 ** 2,
      artifactCaps: defaultArtifactCaps,
      ...scene.request,
    },
    {
      resolveImage: async (ref) => image(ref),
      artifacts: artifactStore(undefined),
      caches: noCaches,
      turns: localTurns({ workflows }),
      budget: createBudget({ cpus: 1000, memoryBytes: 1e15 }),
      ...scene.tools,
      driver: {
        open: (spec) => {
          opened++;
          const sandbox = driver.open(spec);
          return {
            ...sandbox,
            destroy: async () => {
              destroyed++;
              await sandbox.destroy();
            },
          };
        },
      },
      abort,
      events: {
        progress: (message) => void events.push(`progress ${message}`),
        warning: (message) => void events.push(`warning ${message}`),
        workflow: ({ name, status }) =>
          workflows.length > 1 ? tell(`workflow ${name} ${status}`) : undefined,
        step: ({ name, status }, of) => tell(`step ${named(name, of)} ${status}`),
        service: ({ name, status }, of) => tell(`service ${named(name, of)} ${status}`),
        chunk: (label, chunk) => {
          const origin = originOf(label);
          return tell(`log ${named(origin.step, origin.workflow)} ${chunk.toString()}`);
        },
        cutBegins: () => tell('cut begins'),
        cutEnds: (bytes) => tell(`cut ${bytes}`),
        artifact: ({ path }) => void events.push(`artifact ${path}`),
      },
    },
  );
  return { record, events, opened, destroyed };
}

/** `status reason` of the build, then of each step. */
export async function verdicts(scene: Scene): Promise<string[]> {
  const { record, opened, destroyed } = await play(scene);
  expect(destroyed, 'sandboxes destroyed').toBe(opened);
  const steps = record.workflows.flatMap((each) => each.steps);
  expect(record.workflows.map(({ status }) => status)).toEqual([record.status]);
  return [record, ...steps].map(({ status, reason }) => (reason ? `${status} ${reason}` : status));
}
