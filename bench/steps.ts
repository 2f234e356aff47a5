import { artifactStore } from '../src/artifacts.ts';
import type { BuildRecord } from '../src/build.ts';
import { type Plan, planDefaults, type PlanStep, stepDefaults } from '../src/workflow/plan.ts';
import { createAbort } from '../workers/abort.ts';
import { defaultArtifactCaps } from '../workers/artifacts.ts';
import { machineBudget } from '../workers/budget.ts';
import { noCaches } from '../workers/caches.ts';
import { runBuild } from '../workers/build.ts';
import { localTurns } from '../workers/turns.ts';
import { type DiskKind, limitsOn } from './cofferdam.ts';
import type { Row } from './row.ts';
import type { Site } from './site.ts';
import { takeTurns } from './turns.ts';

const disks: readonly DiskKind[] = ['tmpfs', 'ext4'];
/** Steps one after another, of which the first opens the sandbox. */
const inTurn = 11;
const besides = 8;

/** What a step costs that has an image of its own, which is in the store; and steps that only wait, side by side. */
export async function steps(site: Site): Promise<Row[]> {
  const rounds = Math.max(3, Math.round(site.runs / 5));
  const one = disks.map((disk) => () => runMs(site, disk, chain(1)));
  const many = disks.map((disk) => () => runMs(site, disk, chain(inTurn)));
  const chains = await takeTurns(site.stop, rounds, [...one, ...many]);
  const sleepers = await takeTurns(
    site.stop,
    Math.max(2, Math.round(site.runs / 20)),
    (['own', 'shared'] as const).map((use) => () => runMs(site, 'ext4', sleeping(use))),
  );
  return [
    ...disks.map((disk, i): Row => {
      const [alone = [], together = []] = [chains[i], chains[disks.length + i]];
      const samples = together.map((ms, round) => (ms - (alone[round] ?? 0)) / (inTurn - 1));
      const what = `a step with its own image, disk on ${disk}`;
      return { what, unit: 'ms', better: 'less', samples, target: 12 };
    }),
    ...(['own', 'shared'] as const).map((use, i): Row => {
      const samples = (sleepers[i] ?? []).map((ms) => ms / 1000);
      const where = use === 'own' ? 'containers of their own' : 'one container';
      const what = `${besides} steps that sleep for 1 s, in ${where}`;
      return { what, unit: 's', better: 'less', samples, target: 1.3 };
    }),
  ];
}

type Steps = Plan['steps'];

function step(name: string, command: readonly [string, ...string[]], more: Partial<PlanStep>): PlanStep {
  return { ...stepDefaults, name, run: { kind: 'exec', args: command }, ...more };
}

/** Each with a container of its own, after the one before it. */
function chain(count: number): Steps {
  const make = (i: number) =>
    step(`step-${i}`, ['true'], {
      container: { kind: 'own', image: 'bench' },
      dependsOn: i === 0 ? [] : [`step-${i - 1}`],
    });
  return [make(0), ...Array.from({ length: count - 1 }, (_, i) => make(i + 1))];
}

function sleeping(use: 'own' | 'shared'): Steps {
  const make = (i: number) =>
    step(`step-${i}`, ['sleep', '1'], {
      container: use === 'own' ? { kind: 'own', image: 'bench' } : { kind: 'shared' },
    });
  return [make(0), ...Array.from({ length: besides - 1 }, (_, i) => make(i + 1))];
}

/** How long its steps take. Throws when the build does not pass. */
async function runMs(site: Site, disk: DiskKind, made: Steps): Promise<number> {
  const plan: Plan = {
    ...planDefaults,
    name: 'bench',
    file: 'bench',
    image: 'bench',
    network: { kind: 'none' },
    steps: made,
    limits: limitsOn[disk],
  };
  const quiet = () => {};
  const record: BuildRecord = await runBuild(
    {
      plan: { workflows: [plan] },
      repo: 'bench',
      source: async () => ({ directories: [], hidden: [], git: {} }),
      about: { trigger: { kind: 'manual' } },
      secrets: new Map(),
      logCapBytes: 1024 ** 2,
      artifactCaps: defaultArtifactCaps,
    },
    {
      driver: site.driver,
      resolveImage: async () => site.image,
      caches: noCaches,
      turns: localTurns({ workflows: [plan] }),
      budget: machineBudget({ cpus: undefined, memoryBytes: undefined }),
      artifacts: artifactStore(undefined),
      abort: createAbort(),
      events: {
        progress: quiet,
        warning: quiet,
        workflow: quiet,
        step: quiet,
        service: quiet,
        artifact: quiet,
        chunk: quiet,
        cutBegins: quiet,
        cutEnds: quiet,
      },
    },
  );
  if (record.status !== 'passed')
    throw new Error(`the build ended ${record.status}: ${record.message ?? ''}`);
  return record.timings.runMs;
}
