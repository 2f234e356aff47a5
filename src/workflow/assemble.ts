import { readArtifacts } from './artifacts.ts';
import { readCaches } from './caches.ts';
import { readClone } from './clone.ts';
import type { Circumstances, RunsOn } from './conditions.ts';
import type { Surroundings } from './container.ts';
import { type Dependency, readDependencies } from './dependency.ts';
import type { Reading } from './finding.ts';
import { type Combination, labelOf } from './matrix.ts';
import { defaultTimeoutMs, type Network, type Plan, planDefaults, type PlanStep } from './plan.ts';
import { withPackages } from './packages.ts';
import { readLimits } from './resources.ts';
import type { WorkflowFile } from './schema.ts';
import { readServices } from './services.ts';
import { readSteps } from './steps.ts';
import { readTimeout } from './timeout.ts';
import { readWhen } from './when.ts';
import { readWorkspace } from './workspace.ts';

/** A workflow before it is known which others there are. `when` is empty if it does not run in this build. */
export interface WorkflowDraft {
  readonly plan: Omit<Plan, 'dependsOn' | 'steps'>;
  /** Those that run in this build: there may be none. */
  readonly steps: readonly PlanStep[];
  readonly dependsOn: readonly Dependency[];
}

/** Makes a workflow of a file's checked data, for one combination of its matrix. */
export function assemble(
  file: WorkflowFile,
  fileName: string,
  matrix: Combination,
  circumstances: Circumstances | undefined,
  surroundings: Surroundings,
): WorkflowDraft {
  const { report } = surroundings;
  const workspace = readWorkspace(file.workspace, surroundings);
  const image = withPackages(file.image, file.packages, ['packages'], surroundings);
  const steps = readSteps(file.steps, image, circumstances, surroundings);
  if (file.clone !== undefined) readClone(file.clone, surroundings);
  const label = labelOf(matrix);
  return {
    plan: {
      name: label === '' ? fileName : `${fileName} (${label})`,
      file: fileName,
      matrix,
      when: readRunsOn(file, circumstances, surroundings),
      image: steps.some(({ container }) => container.kind === 'shared') ? image : undefined,
      services: readServices(file.services ?? [], circumstances, surroundings),
      caches: readCaches(file.caches ?? [], workspace, surroundings),
      timeoutMs:
        file.timeout === undefined ? defaultTimeoutMs : readTimeout(file.timeout, ['timeout'], surroundings),
      limits: readLimits(file.resources ?? {}, surroundings),
      network: readNetwork(file.network),
      labels: readLabels(file.labels ?? {}, surroundings),
      ...readConcurrency(file.concurrency, fileName),
      retry: { max: file.retry?.max ?? planDefaults.retry.max },
      ...(file.parallel !== undefined && { parallel: file.parallel }),
      checkout: file.skip_clone === true ? 'none' : 'source',
      workspace,
      artifacts: readArtifacts(file.artifacts ?? [], ['artifacts'], report),
    },
    steps,
    dependsOn: readDependencies(file, [], surroundings) ?? [],
  };
}

/** `runs_on` is the old name of `when.status`; where both are there, either is enough, as in Woodpecker. */
function readRunsOn(file: WorkflowFile, circumstances: Circumstances | undefined, reading: Reading): RunsOn {
  const states = readWhen(file.when, ['when'], circumstances, reading);
  if (file.runs_on === undefined) return states;
  reading.warn({
    path: ['runs_on'],
    part: 'key',
    message: '`runs_on` is the old name of `when: { status: … }`',
  });
  if (states.length === 0 || file.runs_on.length === 0) return states;
  const saysStatus = [file.when ?? []].flat().some(({ status }) => status !== undefined);
  const wanted = new Set([...(saysStatus ? states : []), ...file.runs_on]);
  return (['success', 'failure'] as const).filter((state) => wanted.has(state));
}

function readNetwork(network: WorkflowFile['network']): Network {
  if (network === undefined) return planDefaults.network;
  return typeof network === 'string' ? { kind: network } : { kind: 'allow', hosts: network.allow };
}

/** Labels without a value are left out, and so are Woodpecker's own. */
function readLabels(
  labels: NonNullable<WorkflowFile['labels']>,
  { scalar, warn }: Reading,
): Readonly<Record<string, string>> {
  const own = Object.entries(labels).filter(([key]) => {
    const isReserved = key.startsWith('woodpecker-ci.org');
    if (isReserved)
      warn({ path: ['labels', key], part: 'key', message: `${key} has no effect: it is Woodpecker's own` });
    return !isReserved;
  });
  const texts = own.map(([key, value]) => [key, scalar(['labels', key])?.source ?? String(value)] as const);
  return Object.fromEntries(texts.filter(([, text]) => text !== ''));
}

function readConcurrency(
  concurrency: WorkflowFile['concurrency'],
  fileName: string,
): Pick<Plan, 'concurrency'> {
  if (concurrency === undefined) return {};
  const { limit, group = '' } = typeof concurrency === 'number' ? { limit: concurrency } : concurrency;
  // A group that somebody calls like a workflow is not that workflow's.
  return { concurrency: { limit, group: group === '' ? `workflow ${fileName}` : `group ${group}` } };
}
