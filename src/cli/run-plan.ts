import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { defaultLimits } from '../limits.ts';
import { UsageError } from '../usage.ts';
import { planBuild } from '../workflow/build-plan.ts';
import type { BuildCircumstances } from '../workflow/conditions.ts';
import { listWorkflows } from '../workflow/find.ts';
import { type BuildPlan, type Plan, planDefaults, stepDefaults } from '../workflow/plan.ts';
import { render } from '../workflow/problem.ts';
import { readWorkflowText } from '../workflow/read.ts';
import { workflowName } from '../workflow/workflow-text.ts';

/** What `cofferdam run` is to run. */
export interface Wanted {
  readonly directory: string;
  /** One workflow file, with others only where it is one of them. */
  readonly workflow: string | undefined;
  /** Asked for once the directory is known to be one. */
  readonly circumstances: () => BuildCircumstances;
}

/**
 * The plan of a directory's workflows, or of one of them, and what is to be said of it. Throws UsageError, also when
 * none of them is for a build here, and WorkflowError.
 */
export async function planDirectory(wanted: Wanted): Promise<{ plan: BuildPlan; warnings: string[] }> {
  const { directory, workflow } = wanted;
  await checkDirectory(directory);
  const files = await filesOf(directory, workflow);
  const texts = await Promise.all(files.map(readWorkflowText));
  const planned = planBuild(texts, wanted.circumstances());
  const all = planned.kind === 'build' ? planned.build.workflows : [];
  const [first, ...others] = workflow === undefined ? all : alone(all, workflowName(workflow));
  if (!first) {
    const why = planned.leftOut.map((each) => `${each.name}: ${each.why}`).join('; ');
    throw new UsageError(`nothing is to be run (${why}); --event takes the build for another`);
  }
  return { plan: { workflows: [first, ...others] }, warnings: planned.warnings.map(render) };
}

/** The workflows of one file, as if those that they wait for had passed. */
function alone(workflows: readonly Plan[], file: string): Plan[] {
  const chosen = workflows.filter((each) => each.file === file);
  return chosen.map((each) => ({ ...each, dependsOn: [] }));
}

/** A file that is one of several of the directory may name the others. */
async function filesOf(directory: string, workflow: string | undefined): Promise<readonly string[]> {
  if (workflow === undefined) return await listWorkflows(directory);
  const all = await listWorkflows(directory).catch(() => []);
  return all.some((file) => resolve(file) === resolve(workflow)) ? all : [workflow];
}

/** The plan of one command in an image. */
export async function planCommand(
  directory: string,
  image: string,
  [file, ...args]: readonly [string, ...string[]],
): Promise<BuildPlan> {
  await checkDirectory(directory);
  return {
    workflows: [
      {
        ...planDefaults,
        name: 'run',
        file: 'run',
        image,
        steps: [
          {
            name: basename(file).replaceAll(/[^\w-]/g, '_') || 'command',
            ...stepDefaults,
            run: { kind: 'exec', args: [file, ...args] },
          },
        ],
        limits: defaultLimits,
      },
    ],
  };
}

async function checkDirectory(directory: string): Promise<void> {
  const found = await stat(directory).catch((error: Error) => {
    throw new UsageError(`cannot read ${directory}: ${error.message}`, { cause: error });
  });
  if (!found.isDirectory()) throw new UsageError(`${directory} is not a directory`);
}
