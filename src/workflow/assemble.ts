import { defaultLimits, type Limits } from '../limits.ts';
import { readArtifacts } from './artifacts.ts';
import { readEnvironment, readStepEnvironment } from './environment.ts';
import {
  type ArtifactPattern,
  defaultTimeoutMs,
  type Plan,
  planDefaults,
  type PlanStep,
  stepDefaults,
} from './plan.ts';
import { bytesOf, millisecondsOf } from './quantity.ts';
import type { StepFile, WorkflowFile } from './schema.ts';
import { maxScriptBytes, shellScript } from './script.ts';
import type { Finding } from './shape.ts';

const longestMs = 168 * 60 * 60 * 1000;
const MiB = 1024 ** 2;
const TiB = 1024 ** 4;

type Report = (finding: Finding) => void;
/** The text of a scalar as written in the file. */
type Source = (path: readonly string[]) => string | undefined;

/** Everything of a Plan but its name; undefined when something was reported. */
export function assemble(
  file: WorkflowFile,
  source: Source,
  report: Report,
): Omit<Plan, 'name' | 'file'> | undefined {
  let sound = true;
  const fault: Report = (finding) => {
    sound = false;
    report(finding);
  };
  const shared = readEnvironment(file.environment ?? {}, ['environment'], source, fault).variables;
  const timeoutMs = readTimeout(file.timeout, fault);
  const limits = readLimits(file.resources ?? {}, fault);
  const artifacts: ArtifactPattern[] = readArtifacts(file.artifacts ?? [], fault);
  const places = stepsOf(file.steps);
  const steps = places.map(({ step, name, path }, index) => {
    if (step.image === undefined && file.image === undefined) {
      const hint = 'set `image:` at the top of the file or in the step';
      fault({ path, part: 'value', message: `step '${name}' has no image`, hint });
    }
    const before = places[index - 1];
    const read = readStep(step, name, path, file.image, shared, source, fault);
    return { ...read, dependsOn: before ? [before.name] : [] };
  });
  reportRepeatedNames(places, fault);
  const [first, ...others] = steps;
  if (!sound || !first) return undefined;
  return {
    ...planDefaults,
    image: steps.some(({ container }) => container.kind === 'shared') ? file.image : undefined,
    steps: [first, ...others],
    timeoutMs,
    limits,
    artifacts,
  };
}

interface StepPlace {
  readonly step: StepFile;
  readonly name: string;
  readonly path: readonly string[];
  readonly namePath: readonly string[];
}

/** Steps without a name are called step-1, step-2, … after their position; a map's key is a name. */
function stepsOf(steps: WorkflowFile['steps']): StepPlace[] {
  const list = Array.isArray(steps);
  return Object.entries(steps).map(([key, step]) => {
    const path = ['steps', key];
    const name = step.name ?? (list ? `step-${Number(key) + 1}` : key);
    return { step, name, path, namePath: step.name === undefined ? path : [...path, 'name'] };
  });
}

function reportRepeatedNames(places: readonly StepPlace[], report: Report): void {
  const seen = new Set<string>();
  for (const { name, namePath } of places) {
    if (seen.has(name)) {
      const message = `another step is called '${name}'`;
      report({ path: namePath, part: 'value', message, hint: 'give each step a name of its own' });
    }
    seen.add(name);
  }
}

function readStep(
  step: StepFile,
  name: string,
  path: readonly string[],
  image: string | undefined,
  shared: Readonly<Record<string, string>>,
  source: Source,
  report: Report,
): PlanStep {
  const [first = '', ...others] = typeof step.commands === 'string' ? [step.commands] : step.commands;
  const commands: readonly [string, ...string[]] = [first, ...others];
  if (Buffer.byteLength(shellScript(commands)) > maxScriptBytes) {
    const message = `the commands of step '${name}' are longer than Linux lets one argument be (128 KiB)`;
    report({
      path: [...path, 'commands'],
      part: 'value',
      message,
      hint: 'put them in a script in the repository',
    });
  }
  const environment = readStepEnvironment(step, path, shared, source, report);
  return {
    ...stepDefaults,
    name,
    container: containerOf(step, image, environment.secrets),
    run: { kind: 'commands', commands },
    ...environment,
    onFailure: step.failure ?? 'fail',
    when: readStatus(step.when),
  };
}

/**
 * A step with secrets does not share a container: what another step left running could read its environment, and a
 * later one what it wrote to the home directory.
 */
function containerOf(
  step: StepFile,
  shared: string | undefined,
  secrets: PlanStep['secrets'],
): PlanStep['container'] {
  const image = step.image ?? (secrets.length > 0 ? shared : undefined);
  return image === undefined ? { kind: 'shared' } : { kind: 'own', image };
}

/** Conditions are alternatives; one that names no status holds while the build has not failed, as in Woodpecker. */
function readStatus(when: StepFile['when']): PlanStep['when'] {
  const conditions = when === undefined ? [{}] : [when].flat();
  const wanted = new Set(conditions.flatMap(({ status }) => status ?? ['success' as const]));
  return (['success', 'failure'] as const).filter((status) => wanted.has(status));
}

function readTimeout(timeout: string | undefined, report: Report): number {
  if (timeout === undefined) return defaultTimeoutMs;
  const milliseconds = millisecondsOf(timeout);
  if (milliseconds < 1000 || milliseconds > longestMs) {
    report({ path: ['timeout'], part: 'value', message: `timeout must be 1s to 168h, not ${timeout}` });
  }
  return milliseconds;
}

function readLimits(resources: NonNullable<WorkflowFile['resources']>, report: Report): Limits {
  const size = (key: 'memory' | 'disk', otherwise: number, least: number): number => {
    const written = resources[key];
    if (written === undefined) return otherwise;
    const bytes = bytesOf(written);
    if (bytes < least || bytes > 64 * TiB) {
      const message = `resources.${key} must be ${least / MiB}MiB to 64TiB, not ${written}`;
      report({ path: ['resources', key], part: 'value', message });
    }
    return bytes;
  };
  return {
    ...defaultLimits,
    ...(resources.cpus !== undefined && { cpus: resources.cpus }),
    ...(resources.pids !== undefined && { pids: resources.pids }),
    memoryBytes: size('memory', defaultLimits.memoryBytes, 32 * MiB),
    diskBytes: size('disk', defaultLimits.diskBytes, MiB),
  };
}
