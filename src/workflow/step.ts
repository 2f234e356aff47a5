import { readArtifacts } from './artifacts.ts';
import type { Circumstances } from './conditions.ts';
import { readContainer, type Surroundings } from './container.ts';
import { type Dependency, readDependencies } from './dependency.ts';
import { withPackages } from './packages.ts';
import type { PlanStep } from './plan.ts';
import type { StepFile } from './schema.ts';
import { readTimeout } from './timeout.ts';
import { readWhen } from './when.ts';

/** A step before it is known which others there are. */
export interface StepDraft {
  readonly step: Omit<PlanStep, 'dependsOn'>;
  /** undefined: it says nothing of it. */
  readonly dependsOn: readonly Dependency[] | undefined;
  readonly path: readonly string[];
}

/** Reads one step. `when` is empty if it does not run in this build. */
export function readStep(
  file: StepFile,
  name: string,
  path: readonly string[],
  image: string | undefined,
  circumstances: Circumstances | undefined,
  surroundings: Surroundings,
): StepDraft {
  const { report } = surroundings;
  const { commandText: _, ...contents } = readContainer(
    file,
    `step '${name}'`,
    path,
    surroundings.shared,
    surroundings,
  );
  if (file.image === undefined && image === undefined) {
    const hint = 'set `image:` at the top of the file or in the step';
    report({ path, part: 'value', message: `step '${name}' has no image`, hint });
  } else if (file.image === undefined && contents.run.kind === 'image') {
    report({ path, part: 'value', message: `step '${name}' has no commands`, hint: 'add `commands:`' });
  }
  const detached = file.detach === true;
  return {
    step: {
      name,
      container: containerOf(file, image, detached || contents.secrets.length > 0, path, surroundings),
      ...contents,
      mode: detached ? 'detached' : 'foreground',
      ...(file.timeout !== undefined && {
        timeoutMs: readTimeout(file.timeout, [...path, 'timeout'], surroundings),
      }),
      onFailure: file.failure ?? 'fail',
      when: readWhen(file.when, [...path, 'when'], circumstances, surroundings),
      artifacts: readArtifacts(file.artifacts ?? [], [...path, 'artifacts'], report),
    },
    dependsOn: readDependencies(file, path, surroundings),
    path,
  };
}

/**
 * A step with secrets does not share a container: what another step left running could read its environment, and a
 * later one what it wrote to the home directory. One in the background does not either: it ends with its container.
 * Nor does one with packages, which the others have not asked for.
 */
function containerOf(
  file: StepFile,
  shared: string | undefined,
  alone: boolean,
  path: readonly string[],
  surroundings: Surroundings,
): PlanStep['container'] {
  const base = file.image ?? (alone || file.packages !== undefined ? shared : undefined);
  const image = withPackages(base, file.packages, [...path, 'packages'], surroundings);
  return image === undefined ? { kind: 'shared' } : { kind: 'own', image };
}
