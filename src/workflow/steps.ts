import type { Circumstances } from './conditions.ts';
import type { Surroundings } from './container.ts';
import { findCircle, reportUnknownNames } from './dependency.ts';
import type { PlanStep } from './plan.ts';
import type { StepFile, WorkflowFile } from './schema.ts';
import { readStep, type StepDraft } from './step.ts';

/**
 * The steps of a workflow that run in this build, with what each waits for resolved.
 *
 * @param image of steps without one of their own
 */
export function readSteps(
  steps: WorkflowFile['steps'],
  image: string | undefined,
  circumstances: Circumstances | undefined,
  surroundings: Surroundings,
): PlanStep[] {
  const places = placesOf(steps);
  const isGraph = places.some(({ step }) => step.depends_on !== undefined || step.needs !== undefined);
  const named = isGraph ? withReportedDoubles(places, surroundings) : withNumberedDoubles(places);
  const drafts = named.map(({ step, name, path }) =>
    readStep(step, name, path, image, circumstances, surroundings),
  );
  const present = drafts.filter(({ step }) => step.when.length > 0);
  reportUnknown(drafts, surroundings);
  reportCircle(drafts, surroundings);
  // Steps that are not in this build do not make the others a graph, as in Woodpecker.
  if (!present.some(({ dependsOn }) => dependsOn !== undefined)) {
    return present.map(({ step }, index) => {
      const before = present[index - 1];
      return { ...step, dependsOn: before ? [before.step.name] : [] };
    });
  }
  const names = new Set(present.map(({ step }) => step.name));
  const all = new Set(drafts.map(({ step }) => step.name));
  return present.map((draft) => ({ ...draft.step, dependsOn: presentOnes(draft, names, all, surroundings) }));
}

interface StepPlace {
  readonly step: StepFile;
  readonly name: string;
  readonly path: readonly string[];
  readonly namePath: readonly string[];
}

/** Steps without a name are called step-1, step-2, … after their position; a map's key is a name. */
function placesOf(steps: WorkflowFile['steps']): StepPlace[] {
  const list = Array.isArray(steps);
  return Object.entries(steps).map(([key, step]) => {
    const path = ['steps', key];
    const name = step.name ?? (list ? `step-${Number(key) + 1}` : key);
    return { step, name, path, namePath: step.name === undefined ? path : [...path, 'name'] };
  });
}

/** Where steps wait for others by name, each name is one step's. */
function withReportedDoubles(places: readonly StepPlace[], { report }: Surroundings): readonly StepPlace[] {
  const seen = new Set<string>();
  for (const { name, namePath } of places) {
    if (seen.has(name)) {
      const message = `another step is called '${name}', and steps wait for each other by name`;
      report({ path: namePath, part: 'value', message, hint: 'give each step a name of its own' });
    }
    seen.add(name);
  }
  return places;
}

/** `test`, `test (2)`, … */
function withNumberedDoubles(places: readonly StepPlace[]): readonly StepPlace[] {
  const used = new Set(places.map(({ name }) => name));
  const seen = new Set<string>();
  return places.map((place) => {
    let name = place.name;
    for (let number = 2; seen.has(name) || (name !== place.name && used.has(name)); number++) {
      name = `${place.name} (${number})`;
    }
    seen.add(name);
    return { ...place, name };
  });
}

function reportUnknown(drafts: readonly StepDraft[], surroundings: Surroundings): void {
  const names = drafts.map(({ step }) => step.name);
  reportUnknownNames(
    'step',
    names,
    drafts.flatMap(({ dependsOn = [] }) => dependsOn),
    surroundings,
  );
}

function reportCircle(drafts: readonly StepDraft[], { report }: Surroundings): void {
  const next = new Map(drafts.map(({ step, dependsOn = [] }) => [step.name, dependsOn]));
  const circle = findCircle(next.keys(), (name) => next.get(name)?.map((each) => each.name) ?? []);
  if (!circle) return;
  const [first = '', second] = circle;
  const path = next.get(first)?.find(({ name }) => name === second)?.path ?? [];
  const message =
    circle.length === 2
      ? `step '${first}' waits for itself`
      : `steps wait for each other: ${circle.join(' → ')}`;
  report({ path, part: 'value', message });
}

/** What is not in this build is not waited for when it is optional, and an error when it is not, as in Woodpecker. */
function presentOnes(
  { step, dependsOn = [] }: StepDraft,
  present: ReadonlySet<string>,
  all: ReadonlySet<string>,
  { report }: Surroundings,
): readonly string[] {
  for (const { name, optional, path } of dependsOn) {
    if (optional || present.has(name) || !all.has(name)) continue;
    const message = `step '${step.name}' waits for '${name}', whose \`when\` does not hold in this build`;
    report({
      path,
      part: 'value',
      message,
      hint: `write { name: ${name}, optional: true }, or the same \`when\``,
    });
  }
  return [...new Set(dependsOn.map(({ name }) => name))].filter((name) => present.has(name));
}
