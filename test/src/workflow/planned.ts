import { planBuild } from '../../../src/workflow/build-plan.ts';
import type { BuildCircumstances } from '../../../src/workflow/conditions.ts';
import type { Plan } from '../../../src/workflow/plan.ts';

/** A push to main of acme/app. */
export const push: BuildCircumstances = {
  variables: {
    CI_PIPELINE_EVENT: 'push',
    CI_REPO: 'acme/app',
    CI_COMMIT_BRANCH: 'main',
    CI_COMMIT_REF: 'refs/heads/main',
    CI_COMMIT_SHA: '3f786850e387550fdab836ed7e6dc881de23001b',
    CI_COMMIT_MESSAGE: 'Change it',
  },
  platform: 'linux/amd64',
  cron: undefined,
  changed: ['src/main.go'],
  where: 'service',
};

/** `push` with other variables. */
export function pushWith(variables: Readonly<Record<string, string>>): BuildCircumstances {
  return { ...push, variables: { ...push.variables, ...variables } };
}

/** The workflows of files, each given as text or as data; JSON is YAML. */
export function workflowsOf(
  files: Readonly<Record<string, string | object>>,
  circumstances: BuildCircumstances | undefined = push,
): readonly Plan[] {
  const planned = planBuild(
    Object.entries(files).map(([name, content]) => ({
      file: `.cofferdam/${name}.yaml`,
      text: typeof content === 'string' ? content : JSON.stringify(content),
    })),
    circumstances,
  );
  return planned.kind === 'build' ? planned.build.workflows : [];
}

/** The only workflow of one file. */
export function workflowOf(
  content: string | object,
  circumstances: BuildCircumstances | undefined = push,
): Plan {
  const [workflow, ...others] = workflowsOf({ ci: content }, circumstances);
  if (!workflow || others.length > 0) throw new Error(`${others.length} workflows more than one`);
  return workflow;
}
