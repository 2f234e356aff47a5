import type { BuildCircumstances } from './conditions.ts';
import { draftsOf, type WorkflowSource } from './drafts.ts';
import type { Finding } from './finding.ts';
import type { BuildPlan } from './plan.ts';
import { inOrder, type Problem, WorkflowError } from './problem.ts';
import { createRoom, type Room } from './room.ts';
import { readDocument, workflowName, type WorkflowText } from './workflow-text.ts';
import { type LeftOut, reportDependencies, selectWorkflows } from './workflows.ts';

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
  const room = createRoom();
  const sources = files.flatMap((file) => {
    try {
      takeText(file, room);
      return [sourceOf(file, problems, warnings)];
    } catch (error) {
      if (!(error instanceof WorkflowError)) throw error;
      problems.push(...error.problems);
      return [];
    }
  });
  reportSameNames(sources, problems);
  const read = sources.map((source) => ({ ...source, drafts: draftsOf(source, circumstances, room) }));
  // Who waits for a workflow that could not be read is not told that there is none.
  if (sources.length === files.length) reportDependencies(read);
  if (problems.length > 0) throw new WorkflowError(problems);
  const { workflows, leftOut } = selectWorkflows(read.flatMap(({ drafts }) => drafts));
  const [first, ...others] = workflows;
  const about = {
    warnings: inOrder(
      [...warnings.values()],
      files.map(({ file }) => file),
    ),
    leftOut,
  };
  return first
    ? { kind: 'build', build: { workflows: [first, ...others] }, ...about }
    : { kind: 'nothing', ...about };
}

function takeText({ file, text }: WorkflowText, room: Room): void {
  room.text -= text.length;
  if (room.text >= 0) return;
  const message = 'the workflow files have more than 4 MiB together';
  throw new WorkflowError([{ file, line: 1, column: 1, message }]);
}

function sourceOf(text: WorkflowText, problems: Problem[], warnings: Map<string, Problem>): WorkflowSource {
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

function reportSameNames(sources: readonly WorkflowSource[], problems: Problem[]): void {
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
