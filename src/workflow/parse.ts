import { basename, dirname } from 'node:path';
import { assemble } from './assemble.ts';
import { readYaml } from './document.ts';
import type { Plan } from './plan.ts';
import { type Problem, WorkflowError } from './problem.ts';
import { checkShape, type Finding } from './shape.ts';

/** Largest workflow file, in bytes of UTF-8. */
export const maxFileBytes = 1024 * 1024;

/** Plans of the texts that were asked for last: a project's builds differ in their source, seldom in their workflow. */
const recent = new Map<string, Plan>();
const mostRecent = 64;
/** Characters of a text whose plan is kept. */
const longestKept = 16 * 1024;

/**
 * Turns the text of a workflow file into a plan. `file` is how the user knows it; it names the workflow and begins
 * every problem. Throws WorkflowError with all problems found, and nothing else.
 */
export function parseWorkflow(text: string, file: string): Plan {
  const key = `${file}\0${text}`;
  const plan = recent.get(key) ?? parse(text, file);
  // Last in the order of the map, so that the first is the one to forget.
  recent.delete(key);
  if (text.length <= longestKept) recent.set(key, plan);
  const [oldest] = recent.keys();
  if (recent.size > mostRecent && oldest !== undefined) recent.delete(oldest);
  return plan;
}

function parse(text: string, file: string): Plan {
  refuse(text, file);
  const document = readYaml(text, file);
  const problems: Problem[] = [];
  if (document.value === null)
    throw new WorkflowError([{ file, line: 1, column: 1, message: 'the file is empty' }]);
  const report = ({ path, part, message, hint }: Finding) => {
    problems.push({ file, ...document.place(path, part), message, ...(hint !== undefined && { hint }) });
  };
  const shape = checkShape(document.value);
  if (shape.kind === 'wrong') shape.findings.forEach(report);
  const source = (path: readonly string[]) => document.scalar(path)?.source;
  const plan = shape.kind === 'right' ? assemble(shape.file, source, report) : undefined;
  if (!plan) throw new WorkflowError(problems);
  const name = workflowName(file);
  return { ...plan, name, file: name };
}

function refuse(text: string, file: string): void {
  const stop = (message: string, before: string) => {
    const lines = before.split('\n');
    const place = { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
    throw new WorkflowError([{ file, ...place, message }]);
  };
  if (text.length > maxFileBytes || Buffer.byteLength(text) > maxFileBytes) {
    stop('the file is larger than 1 MiB', '');
  }
  const nul = text.indexOf('\0');
  if (nul !== -1) stop('the file holds a NUL character: it is not text', text.slice(0, nul));
}

/** `.cofferdam.yaml` → `cofferdam`, `.cofferdam/lint.yaml` → `lint`. */
function workflowName(file: string): string {
  const name = basename(file)
    .replace(/\.ya?ml$/, '')
    .replace(/^\./, '');
  return name === '' ? basename(dirname(file)) || 'workflow' : name;
}
