import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { listWorkflows } from '../workflow/find.ts';
import { type Problem, render, WorkflowError } from '../workflow/problem.ts';
import { readWorkflow } from '../workflow/read.ts';
import { exitCode } from './exit.ts';

/** `cofferdam lint [FILE|DIR]...`: exit code 0 when all workflow files are right, 2 when one is not. */
export function command(): Command {
  return new Command('lint')
    .description('check workflow files; of a directory, all that it has')
    .argument('[path...]', 'workflow files, or directories that have some', ['.'])
    .option('--json', 'print {"ok": …, "problems": […]}')
    .action(lint);
}

async function lint(paths: readonly string[], { json }: { readonly json?: boolean }): Promise<void> {
  const problems: Problem[] = [];
  const lines: string[] = [];
  for (const path of paths) {
    for (const file of await filesOf(path)) {
      const found = await problemsOf(file);
      problems.push(...found);
      lines.push(...(found.length === 0 ? [`${file}: ok`] : found.map(render)));
    }
  }
  const ok = problems.length === 0;
  process.stdout.write(json ? `${JSON.stringify({ ok, problems })}\n` : `${lines.join('\n')}\n`);
  if (!ok) process.exitCode = exitCode.usage;
}

async function filesOf(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() ? listWorkflows(path) : [path];
}

async function problemsOf(file: string): Promise<readonly Problem[]> {
  try {
    await readWorkflow(file);
    return [];
  } catch (error) {
    if (error instanceof WorkflowError) return error.problems;
    throw error;
  }
}
