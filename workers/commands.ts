import { posix } from 'node:path';
import type { Image } from '../runtime/images/image.ts';
import type { Command } from '../runtime/sandbox.ts';
import { type Plan, type PlanService, type PlanStep, type Run, stepDefaults } from '../src/workflow/plan.ts';
import { shellScript } from '../src/workflow/script.ts';
import { containerEnvironment, secretFiles, type SecretValues } from './environment.ts';

/** What all commands of a workflow get. */
export interface CommandParts {
  /** Variables that tell of the build. */
  readonly variables: Readonly<Record<string, string>>;
  /** Values of all that the plan names. */
  readonly secrets: SecretValues;
}

/** What a step runs: as root, whatever the image's USER is, in the workspace. */
export function stepCommand(step: PlanStep, image: Image, plan: Plan, parts: CommandParts): Command {
  return { ...commandOf(step, image, parts), cwd: posix.resolve(plan.workspace, step.directory) };
}

/** What a service runs: as its image's USER, and the image's own entrypoint where the image says. */
export function serviceCommand(service: PlanService, image: Image, plan: Plan, parts: CommandParts): Command {
  const { user, workingDir } = image.config;
  const isOwn = service.run.kind === 'image' && service.directory === stepDefaults.directory;
  const cwd = isOwn ? workingDir : posix.resolve(plan.workspace, service.directory);
  return { ...commandOf(service, image, parts), cwd, user };
}

function commandOf(
  what: Pick<PlanStep, 'run' | 'environment' | 'secrets'>,
  image: Image,
  { variables, secrets }: CommandParts,
): Pick<Command, 'args' | 'env' | 'secrets'> {
  return {
    args: argsOf(what.run, image),
    env: containerEnvironment(image.config, what, secrets, variables),
    secrets: secretFiles(what, secrets),
  };
}

function argsOf(run: Run, image: Image): Command['args'] {
  if (run.kind === 'commands') return ['/bin/sh', '-c', shellScript(run.commands)];
  return run.kind === 'exec' ? run.args : imageArgs(run.args, image);
}

/** The image's own entrypoint with these arguments, or its own; none at all: there is nothing to run. */
function imageArgs(args: readonly string[] | undefined, { config }: Image): Command['args'] {
  const [program = '', ...rest] = [...config.entrypoint, ...(args ?? config.cmd)];
  return [program, ...rest];
}

/** Whether it has something to run: an image need not say what. */
export function isRunnable(run: Run, { config }: Image): boolean {
  return run.kind !== 'image' || config.entrypoint.length + (run.args ?? config.cmd).length > 0;
}
