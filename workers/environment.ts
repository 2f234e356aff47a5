import type { ImageConfig } from '../runtime/images/image.ts';
import type { PlanStep } from '../src/workflow/plan.ts';

/** Where builds find their source. */
export const workspacePath = '/workspace';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The environment of a step: the image's, then ours, then the workflow's. Nothing of the host's. */
export function stepEnvironment(
  image: ImageConfig,
  step: PlanStep,
  build: { readonly id: string; readonly workflow: string },
): Record<string, string> {
  const fromImage = image.env.map((entry) => {
    const at = entry.indexOf('=');
    return [entry.slice(0, at), entry.slice(at + 1)] as const;
  });
  return {
    PATH: defaultPath,
    HOME: '/root',
    ...Object.fromEntries(fromImage.filter(([key]) => key !== '')),
    CI: 'true',
    CI_SYSTEM_NAME: 'cofferdam',
    CI_WORKSPACE: workspacePath,
    CI_WORKFLOW_NAME: build.workflow,
    CI_STEP_NAME: step.name,
    COFFERDAM_BUILD_ID: build.id,
    ...step.environment,
  };
}
