import type { Circumstances } from './conditions.ts';
import { readContainer, type Surroundings } from './container.ts';
import { withPackages } from './packages.ts';
import type { PlanService } from './plan.ts';
import { readReadiness } from './readiness.ts';
import type { WorkflowFile } from './schema.ts';
import { readWhen } from './when.ts';

/** The services of a workflow that run in this build. They do not get the variables of the workflow's steps. */
export function readServices(
  services: NonNullable<WorkflowFile['services']>,
  circumstances: Circumstances | undefined,
  surroundings: Surroundings,
): PlanService[] {
  const { report, warn } = surroundings;
  const list = Array.isArray(services);
  const seen = new Set<string>();
  return Object.entries(services).flatMap(([key, file]) => {
    const path = ['services', key];
    const name = file.name ?? (list ? undefined : key);
    if (name === undefined) {
      const message = `services[${key}] has no name`;
      report({
        path,
        part: 'value',
        message,
        hint: 'add `name:`; it is the host name by which steps reach it',
      });
      return [];
    }
    if (seen.has(name)) {
      const at = file.name === undefined ? path : [...path, 'name'];
      report({
        path: at,
        part: 'value',
        message: `another service is called '${name}'`,
        hint: 'choose another name',
      });
    }
    seen.add(name);
    if (file.ports !== undefined) {
      const message = 'ports have no effect: all ports of a service can be reached';
      warn({ path: [...path, 'ports'], part: 'key', message });
    }
    const { commandText, ...contents } = readContainer(file, `service '${name}'`, path, {}, surroundings);
    const ready = readReadiness(file.ready, [...path, 'ready'], commandText, surroundings);
    const when = readWhen(file.when, [...path, 'when'], circumstances, surroundings);
    const image = withPackages(file.image, file.packages, [...path, 'packages'], surroundings);
    if (when.length === 0 || image === undefined) return [];
    return [{ name, image, ...contents, ready, onFailure: file.failure ?? 'fail' }];
  });
}
