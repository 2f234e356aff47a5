import { CommandError, run } from '../command.ts';
import { type Check, inspect } from '../host.ts';
import { interrupted } from './dpkg.ts';
import type { Host, Requirement } from './requirement.ts';
import { quote } from './shell.ts';
import { findTool } from './tools.ts';

/** One step of a repair; the title is a phrase: `install crun skopeo`. */
export type Step =
  | { readonly kind: 'install'; readonly title: string; readonly packages: readonly string[] }
  | {
      readonly kind: 'command';
      readonly title: string;
      readonly args: readonly [string, ...string[]];
      readonly needsRoot: boolean;
    };

/** A step of a repair failed; the message names the step, the command, what it wrote, and what to do. */
export class RepairError extends Error {
  override readonly name = 'RepairError';
}

/**
 * Takes every step that this user can take on this machine, until nothing more can be mended: one step can make
 * another possible (a compiler, then what it compiles). Returns the checks as they are then. `take` shows a step
 * and runs it. Throws RepairError.
 */
export async function repair(
  host: Host,
  purposes: readonly Requirement['neededFor'][],
  take: (step: Step, work: () => Promise<void>) => Promise<void>,
): Promise<Check[]> {
  const taken = new Set<string>();
  for (;;) {
    const checks = await inspect(host, purposes);
    const steps = repairSteps(checks).filter((step) => possible(host, step) && !taken.has(step.title));
    if (steps.length === 0) return checks;
    for (const step of steps) {
      taken.add(step.title);
      await take(step, () => runStep(host, step));
    }
  }
}

/** What would mend these checks, packages first: the other steps may use them. Pure. */
export function repairSteps(checks: readonly Check[]): Step[] {
  const packages = new Set<string>();
  const steps: Step[] = [];
  for (const check of checks) {
    if (check.status !== 'missing') continue;
    const { remedy } = check;
    if (remedy.kind === 'packages') for (const name of remedy.names) packages.add(name);
    if (remedy.kind === 'command') steps.push(remedy);
  }
  if (packages.size === 0) return steps;
  const names = [...packages].toSorted();
  return [{ kind: 'install', title: `install ${names.join(' ')}`, packages: names }, ...steps];
}

/** A line to paste into a shell, with sudo where root is needed and this user is not root. */
export function pasteable(host: Host, step: Step): string {
  const sudo = host.uid === 0 ? '' : 'sudo ';
  if (step.kind === 'command') return (step.needsRoot ? sudo : '') + step.args.map(quote).join(' ');
  const names = step.packages.join(' ');
  return `${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends ${names}`;
}

function possible(host: Host, step: Step): boolean {
  if (step.kind === 'command') return host.uid === 0 || !step.needsRoot;
  return host.uid === 0 && findTool(host, 'apt-get') !== undefined;
}

async function runStep(host: Host, step: Step): Promise<void> {
  const commands = step.kind === 'command' ? [step.args] : aptCommands(host, step.packages);
  for (const command of commands) {
    const [file, ...args] = command;
    try {
      await run({ file, args });
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      const told = error.stderr.trim() || error.message;
      const remedy =
        step.kind === 'install' ? "\nCheck the network and apt's sources, then run this again." : '';
      throw new RepairError(
        `cannot ${step.title}. This was run:\n  ${command.map(quote).join(' ')}\n${told}${remedy}`,
        { cause: error },
      );
    }
  }
}

function aptCommands(host: Host, packages: readonly string[]): [string, ...string[]][] {
  const apt = [
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'apt-get',
    '-q',
    '-y',
    '-o',
    'DPkg::Lock::Timeout=600',
    '-o',
    'Acquire::Retries=2',
  ] as const;
  return [
    ...(interrupted(host) ? [['dpkg', '--configure', '-a'] as [string, ...string[]]] : []),
    [...apt, 'update'],
    [...apt, 'install', '--no-install-recommends', ...packages],
  ];
}
