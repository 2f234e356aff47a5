import { assemble, type WorkflowDraft } from './assemble.ts';
import type { BuildCircumstances } from './conditions.ts';
import type { YamlDocument } from './document.ts';
import { readSharedEnvironment } from './environment.ts';
import type { Finding } from './finding.ts';
import { createTemplate, type Known, ownVariables, type Template } from './interpolation.ts';
import { type Combination, combinationsOf } from './matrix.ts';
import { createFilling, type Filling, type Room } from './room.ts';
import type { WorkflowFile } from './schema.ts';
import { checkShape, takesTextAt } from './shape.ts';

/** A workflow file that has been read, and who is told what is wrong in it. */
export interface WorkflowSource {
  readonly file: string;
  readonly name: string;
  readonly document: YamlDocument;
  readonly report: (finding: Finding) => void;
  readonly warn: (finding: Finding) => void;
}

/** One workflow for each combination of the matrix. */
export function draftsOf(
  source: WorkflowSource,
  circumstances: BuildCircumstances | undefined,
  room: Room,
): WorkflowDraft[] {
  const { document, report, warn } = source;
  const combinations = combinationsOf(document, room, report);
  const checked = new Map<unknown, WorkflowFile | undefined>();
  /** Where a combination changes nothing, the document itself has been checked before. */
  const fileOf = (value: unknown): WorkflowFile | undefined => {
    if (checked.has(value)) return checked.get(value);
    const shape = checkShape(value);
    if (shape.kind === 'wrong') shape.findings.forEach(report);
    const file = shape.kind === 'right' ? shape.file : undefined;
    if (value === document.value) checked.set(value, file);
    return file;
  };
  const fill = createFilling(room, () => {
    report({ path: [], part: 'key', message: 'variables make the workflow files longer than 16 MiB' });
  });
  const template = createTemplate(document, takesTextAt, fill, warn);
  const drafts = combinations.flatMap(
    (matrix) => draftOf(source, { template, fill, fileOf }, matrix, circumstances) ?? [],
  );
  return withOwnNames(drafts);
}

/** Long values of a matrix are cut in names: `ci (A=x…)`, `ci (A=x…) (2)`. */
function withOwnNames(drafts: readonly WorkflowDraft[]): WorkflowDraft[] {
  const counts = new Map<string, number>();
  return drafts.map((draft) => {
    const { name } = draft.plan;
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return count === 1 ? draft : { ...draft, plan: { ...draft.plan, name: `${name} (${count})` } };
  });
}

/** What all combinations of a file have in common. */
interface Common {
  readonly template: Template;
  readonly fill: Filling;
  /** The file, if its data has the right form. */
  readonly fileOf: (value: unknown) => WorkflowFile | undefined;
}

function draftOf(
  { name, document, report, warn }: WorkflowSource,
  { template, fill, fileOf }: Common,
  matrix: Combination,
  circumstances: BuildCircumstances | undefined,
): WorkflowDraft | undefined {
  const given = { ...circumstances?.variables, CI_WORKFLOW_NAME: name };
  const own = createKnown(matrix);
  const foreign = createKnown(given);
  // Whoever checks a file for whatever may happen does not know the values.
  const unset: Known = (variable) =>
    variable.startsWith('CI_') ? (circumstances === undefined ? variable : '') : undefined;
  const outer: Known = (variable) => own(variable) ?? foreign(variable) ?? unset(variable);
  const ofWorkflow = createKnown(ownVariables(document, outer, fill));
  const known: Known = (variable) =>
    own(variable) ?? foreign(variable) ?? ofWorkflow(variable) ?? unset(variable);
  const { value, scalar } = template.filledWith(known);
  const file = fileOf(value);
  if (!file) return undefined;
  const reading = { scalar, report, warn };
  const shared = readSharedEnvironment(file.environment ?? {}, reading);
  const judged = circumstances && { ...circumstances, matrix, variables: { ...shared, ...matrix, ...given } };
  return assemble(file, name, matrix, judged, {
    ...reading,
    shared,
    matrix,
    commandVariables: { own, foreign, fill },
    fill: (text) => fill(text, (variable) => known(variable) ?? ''),
  });
}

function createKnown(variables: Readonly<Record<string, string>>): Known {
  return (name) => (Object.hasOwn(variables, name) ? variables[name] : undefined);
}
