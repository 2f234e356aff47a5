import type { Planned } from '../workflow/build-plan.ts';
import type { Plan, PlanService, PlanStep } from '../workflow/plan.ts';
import { plain } from './table.ts';

/** What a build would run, workflow by workflow, for people. */
export function planLines(planned: Planned): string[] {
  const workflows =
    planned.kind === 'build' ? planned.build.workflows.flatMap(workflowLines) : ['nothing to run'];
  const leftOut = planned.leftOut.map(({ name, why }) => plain(`not in this build: ${name}: ${why}`));
  return [...workflows, ...leftOut];
}

function workflowLines({ name, image, dependsOn, when, services, steps }: Plan): string[] {
  const rows = [...services.map(serviceRow), ...steps.map((step) => stepRow(step, image))];
  const width = Math.max(...rows.map(([cell]) => cell.length));
  const lines = rows.map(([cell, rest]) => plain(`  ${cell.padEnd(width)}  ${rest}`));
  return [plain([name, after(dependsOn), states(when)].join('')), ...lines];
}

function serviceRow({ name, image }: PlanService): readonly [string, string] {
  return [`(${name})`, `${image}, beside the steps`];
}

function stepRow(
  { name, container, dependsOn, when, mode, onFailure }: PlanStep,
  shared = '',
): readonly [string, string] {
  const image = container.kind === 'own' ? container.image : shared;
  const parts = [
    image,
    after(dependsOn),
    states(when),
    mode === 'detached' ? ', in the background' : '',
    onFailure === 'fail' ? '' : `, on failure: ${onFailure}`,
  ];
  return [name, parts.join('')];
}

function after(names: readonly string[]): string {
  return names.length === 0 ? '' : `, after ${names.join(', ')}`;
}

function states(when: Plan['when']): string {
  if (when.length === 2) return ', whether or not something failed';
  return when[0] === 'failure' ? ', when something failed' : '';
}
