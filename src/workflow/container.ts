import { createCommandText, type CommandVariables } from './commands.ts';
import { readContainerEnvironment } from './environment.ts';
import type { Finding, Reading } from './finding.ts';
import type { PlanStep, Run } from './plan.ts';
import type { ServiceFile, StepFile } from './schema.ts';
import { maxScriptBytes, shellScript } from './script.ts';

/** What steps and services have from their workflow. */
export interface Surroundings extends Reading {
  /** The workflow's variables, of steps. */
  readonly shared: Readonly<Record<string, string>>;
  /** Values of the matrix; plugins do not get them. */
  readonly matrix: Readonly<Record<string, string>>;
  readonly commandVariables: CommandVariables;
  /** Fills variables into a text that no shell reads. */
  readonly fill: (text: string) => string;
}

type ContainerFile = Pick<StepFile, 'commands' | 'script' | 'secrets'> &
  Omit<ServiceFile, 'image' | 'ready' | 'failure'>;

/** What runs in a container, and with what. */
type Contents = Pick<PlanStep, 'run' | 'environment' | 'secrets' | 'directory' | 'pull'> & {
  /** Fills variables into further commands of the container, whose references go into its environment. */
  readonly commandText: (command: string) => string;
};

/** Reads what steps and services have in common. */
export function readContainer(
  file: ContainerFile,
  what: string,
  path: readonly string[],
  shared: Readonly<Record<string, string>>,
  surroundings: Surroundings,
): Contents {
  const { report } = surroundings;
  reportContradictions(file, path, surroundings);
  if (file.privileged === true) {
    report({
      path: [...path, 'privileged'],
      part: 'key',
      message: "'privileged' is refused: no build has more rights than another",
      hint: 'leave it out; docs/security.md says what builds can do without',
    });
  }
  const isPlugin =
    file.commands === undefined &&
    file.script === undefined &&
    file.entrypoint === undefined &&
    file.environment === undefined;
  const base = isPlugin ? shared : { ...surroundings.matrix, ...shared };
  const { environment, secrets } = readContainerEnvironment(file, path, base, surroundings);
  const taken = new Set(secrets.flatMap((secret) => (secret.kind === 'file' ? [] : [secret.variable])));
  const commandText = createCommandText(surroundings.commandVariables, environment, taken);
  const run = readRun(file, what, path, environment, commandText, surroundings);
  return {
    run,
    environment,
    secrets,
    directory: readDirectory(file.directory ?? '.'),
    pull: file.pull === true ? 'always' : 'missing',
    commandText,
  };
}

function reportContradictions(file: ContainerFile, path: readonly string[], { report, warn }: Reading): void {
  const both = (
    one: keyof ContainerFile,
    other: keyof ContainerFile,
    tell: (finding: Finding) => void,
    hint: string,
  ) => {
    if (file[one] === undefined || file[other] === undefined) return;
    const message = `${one} and ${other} do not go together`;
    tell({ path: [...path, other], part: 'key', message, hint });
  };
  both('commands', 'script', report, 'they are the same; keep one');
  for (const runs of ['commands', 'script', 'entrypoint'] as const) {
    both('settings', runs, report, 'settings are for the own entrypoint of an image (a plugin)');
  }
  both('settings', 'environment', warn, 'plugins are told what to do by settings alone');
}

function readRun(
  file: ContainerFile,
  what: string,
  path: readonly string[],
  environment: Record<string, string>,
  commandText: (command: string) => string,
  { report, fill }: Surroundings,
): Run {
  const commands = listOf(file.commands ?? file.script)?.map(commandText);
  const script = commands && shellScript(commands);
  if (script !== undefined && Buffer.byteLength(script) * (file.entrypoint ? 4 / 3 : 1) > maxScriptBytes) {
    const message = `the commands of ${what} are longer than Linux lets one argument be (128 KiB)`;
    const key = file.commands === undefined ? 'script' : 'commands';
    report({ path: [...path, key], part: 'value', message, hint: 'put them in a script in the repository' });
  }
  const entrypoint = listOf(file.entrypoint);
  if (entrypoint) {
    if (script !== undefined) environment['CI_SCRIPT'] = Buffer.from(script).toString('base64');
    // `sh -c TEXT` and the like run what they are given.
    const runsText = entrypoint.some((word) => /^-[A-Za-z]*[ce]$/.test(word));
    const [program, ...args] = entrypoint.map(runsText ? commandText : fill);
    return { kind: 'exec', args: [program ?? '', ...args] };
  }
  const [first, ...others] = commands ?? [];
  return first === undefined ? { kind: 'image' } : { kind: 'commands', commands: [first, ...others] };
}

export function listOf(value: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof value === 'string' ? [value] : value;
}

/** `./a/` → `a`; what is relative stays below the workspace or leaves it, as it says. */
function readDirectory(directory: string): string {
  return directory.replace(/^(\.\/+)+/, '').replace(/(?<=.)\/+$/, '') || '.';
}
