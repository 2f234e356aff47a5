import { assemble, type WorkflowDraft } from './assemble.ts';
import type { Circumstances } from './conditions.ts';
import type { YamlDocument } from './document.ts';
import type { Finding } from './finding.ts';
import { createTemplate, type Known, ownVariables } from './interpolation.ts';
import { type Combination, combinationsOf } from './matrix.ts';
import type { BuildPlan } from './plan.ts';
import { type Problem, WorkflowError } from './problem.ts';
import type { WorkflowFile } from './schema.ts';
import { readSharedEnvironment } from './environment.ts';
import { checkShape, takesTextAt } from './shape.ts';
import { substitute } from './substitution.ts';
import { type LeftOut, reportDependencies, selectWorkflows } from './workflows.ts';
import { readDocument, workflowName, type WorkflowText } from './workflow-text.ts';

/** What a build is made in. `variables`: the `CI_…` ones, and those that came with the build. */
export type BuildCircumstances = Omit<Circumstances, 'matrix'>;

/** What a build comes to. */
export type Planned = {
  /** What has no effect, or another than one may think. */
  readonly warnings: readonly Problem[];
  /** Workflows that are not in this build, and why. */
  readonly leftOut: readonly LeftOut[];
} & (
  | { readonly kind: 'build'; readonly build: BuildPlan }
  /** No workflow is for this build, which is no error. */
  | { readonly kind: 'nothing' }
);

/**
 * Makes a plan of all workflow files of a source. All files are checked, also those that are not for this build. Pure.
 * Throws WorkflowError with all problems, and nothing else.
 *
 * @param circumstances undefined: every condition is taken to hold, to check files for whatever may happen
 */
export function planBuild(
  files: readonly WorkflowText[],
  circumstances: BuildCircumstances | undefined,
): Planned {
  const problems: Problem[] = [];
  const warnings = new Map<string, Problem>();
  const sources = files.flatMap((file) => {
    try {
      return [sourceOf(file, problems, warnings)];
    } catch (error) {
      if (!(error instanceof WorkflowError)) throw error;
      problems.push(...error.problems);
      return [];
    }
  });
  reportSameNames(sources, problems);
  const read = sources.map((source) => ({ ...source, drafts: draftsOf(source, circumstances) }));
  // Who waits for a workflow that could not be read is not told that there is none.
  if (sources.length === files.length) reportDependencies(read);
  if (problems.length > 0) throw new WorkflowError(problems);
  const { workflows, leftOut } = selectWorkflows(read.flatMap(({ drafts }) => drafts));
  const [first, ...others] = workflows;
  const about = { warnings: [...warnings.values()], leftOut };
  return first
    ? { kind: 'build', build: { workflows: [first, ...others] }, ...about }
    : { kind: 'nothing', ...about };
}

/** A workflow file that has been read, and who is told what is wrong in it. */
interface Source {
  readonly file: string;
  readonly name: string;
  readonly document: YamlDocument;
  readonly report: (finding: Finding) => void;
  readonly warn: (finding: Finding) => void;
}

function sourceOf(text: WorkflowText, problems: Problem[], warnings: Map<string, Problem>): Source {
  const { file } = text;
  const document = readDocument(text);
  const placed = ({ path, part, message, hint }: Finding): Problem => {
    return { file, ...document.place(path, part), message, ...(hint !== undefined && { hint }) };
  };
  return {
    file,
    name: workflowName(file),
    document,
    report: (finding) => void problems.push(placed(finding)),
    warn: (finding) => {
      const warning = placed(finding);
      warnings.set(`${file}:${warning.line}:${warning.column}:${warning.message}`, warning);
    },
  };
}

function reportSameNames(sources: readonly Source[], problems: Problem[]): void {
  const seen = new Map<string, string>();
  for (const { name, file } of sources) {
    const other = seen.get(name);
    if (other === undefined) seen.set(name, file);
    else {
      const message = `this workflow and that of ${other} are both called '${name}'`;
      problems.push({ file, line: 1, column: 1, message, hint: 'rename one of the files' });
    }
  }
}

/** One workflow for each combination of the matrix. */
function draftsOf(source: Source, circumstances: BuildCircumstances | undefined): WorkflowDraft[] {
  const combinations = combinationsOf(source.document, source.report);
  const checked = new Map<unknown, WorkflowFile | undefined>();
  /** Where a combination changes nothing, the document itself has been checked before. */
  const fileOf = (value: unknown): WorkflowFile | undefined => {
    if (checked.has(value)) return checked.get(value);
    const shape = checkShape(value);
    if (shape.kind === 'wrong') shape.findings.forEach(source.report);
    const file = shape.kind === 'right' ? shape.file : undefined;
    if (value === source.document.value) checked.set(value, file);
    return file;
  };
  const template = createTemplate(source.document, takesTextAt, source.warn);
  const drafts = combinations.flatMap(
    (matrix) => draftOf(source, template, matrix, circumstances, fileOf) ?? [],
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

function draftOf(
  { name, document, report, warn }: Source,
  template: ReturnType<typeof createTemplate>,
  matrix: Combination,
  circumstances: BuildCircumstances | undefined,
  fileOf: (value: unknown) => WorkflowFile | undefined,
): WorkflowDraft | undefined {
  const given = { ...circumstances?.variables, CI_WORKFLOW_NAME: name };
  const own = createKnown(matrix);
  const foreign = createKnown(given);
  // Whoever checks a file for whatever may happen does not know the values.
  const unset: Known = (variable) =>
    variable.startsWith('CI_') ? (circumstances === undefined ? variable : '') : undefined;
  const outer: Known = (variable) => own(variable) ?? foreign(variable) ?? unset(variable);
  const ofWorkflow = createKnown(ownVariables(document, outer));
  const known: Known = (variable) =>
    own(variable) ?? foreign(variable) ?? ofWorkflow(variable) ?? unset(variable);
  const { value, scalar } = template.fill(known);
  const file = fileOf(value);
  if (!file) return undefined;
  const reading = { scalar, report, warn };
  const shared = readSharedEnvironment(file.environment ?? {}, reading);
  const judged = circumstances && { ...circumstances, matrix, variables: { ...shared, ...matrix, ...given } };
  return assemble(file, name, matrix, judged, {
    ...reading,
    shared,
    matrix,
    commandVariables: { own, foreign },
    fill: (text) => substitute(text, (variable) => known(variable) ?? ''),
  });
}

function createKnown(variables: Readonly<Record<string, string>>): Known {
  return (name) => (Object.hasOwn(variables, name) ? variables[name] : undefined);
}
