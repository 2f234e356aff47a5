import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { Command, Option } from 'commander';
import { type Planned, planBuild } from '../workflow/build-plan.ts';
import { listWorkflows } from '../workflow/find.ts';
import { inOrder, type Problem, render, WorkflowError } from '../workflow/problem.ts';
import { readWorkflowText } from '../workflow/read.ts';
import { events } from '../workflow/when-schema.ts';
import type { WorkflowText } from '../workflow/workflow-text.ts';
import { exitCode } from './exit.ts';
import { circumstancesOf, type Supposed } from './lint-circumstances.ts';
import { planLines } from './plan-lines.ts';
import { collectPairs } from './words.ts';

interface LintOptions extends Supposed {
  readonly json?: true;
  readonly plan?: true;
}

/** `cofferdam lint [FILE|DIR]...`: exit code 0 when all workflow files are right, 2 when one is not. */
export function command(): Command {
  return new Command('lint')
    .summary('check workflow files, and show what would run')
    .description(
      'Checks workflow files; of a directory all that it has, as one build. With --event and the like it supposes a ' +
        'build by that event; else every condition is taken to hold.',
    )
    .argument('[path...]', 'workflow files, or directories that have some', ['.'])
    .option('--plan', 'show which workflows and steps would run')
    .addOption(new Option('--event <event>', 'suppose this event').choices([...events]))
    .option('--branch <name>', 'suppose this branch; of a pull request the one it is for')
    .option('--tag <name>', 'suppose this tag')
    .option('--cron <name>', 'suppose this cron job')
    .option('--changed <path...>', 'suppose that these files changed')
    .addOption(
      new Option('-e, --env <key=value>', 'suppose this variable, such as CI_REPO=acme/app; may be repeated')
        .argParser(collectPairs('--env'))
        .default({}, 'none'),
    )
    .option('--json', 'print {"ok": …, "problems": […], "warnings": […]}, with --plan also "builds"')
    .action(lint);
}

/** Files that are one build, as far as they were asked for. */
interface Group {
  readonly asked: readonly string[];
  readonly planned: Planned | undefined;
  readonly problems: readonly Problem[];
}

async function lint(paths: readonly string[], options: LintOptions): Promise<void> {
  const groups: Group[] = [];
  for (const path of paths) groups.push(await checked(path, options));
  const files = groups.flatMap(({ asked }) => asked);
  const problems = inOrder(
    groups.flatMap((group) => group.problems),
    files,
  );
  const warnings = inOrder(groups.flatMap(warningsOf), files);
  const ok = problems.length === 0;
  if (options.json) {
    const builds = groups.flatMap(({ planned }) => (planned ? [{ ...planned, warnings: undefined }] : []));
    const result = { ok, problems, warnings, ...(options.plan && { builds }) };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } else
    process.stdout.write(
      groups
        .flatMap((group) => linesOf(group, options))
        .map((line) => `${line}\n`)
        .join(''),
    );
  if (!ok) process.exitCode = exitCode.usage;
}

function linesOf({ asked, planned, problems }: Group, { plan }: LintOptions): string[] {
  const lines = asked.flatMap((file) => {
    const wrong = problems.filter((problem) => problem.file === file).map((problem) => render(problem));
    const doubtful = (planned?.warnings ?? []).filter((warning) => warning.file === file).map(renderWarning);
    return [...wrong, ...doubtful, ...(wrong.length === 0 ? [`${file}: ok`] : [])];
  });
  return plan && planned ? [...lines, '', ...planLines(planned)] : lines;
}

function renderWarning(problem: Problem): string {
  return render({ ...problem, message: `warning: ${problem.message}` });
}

function warningsOf({ asked, planned }: Group): readonly Problem[] {
  return (planned?.warnings ?? []).filter(({ file }) => asked.includes(file));
}

/** A file of a directory of workflows is checked among the others, which it may wait for; only it is told of. */
async function checked(path: string, options: LintOptions): Promise<Group> {
  const found = await stat(path).catch(() => undefined);
  const files = found?.isDirectory() ? await listWorkflows(path) : [path];
  const problems: Problem[] = [];
  const texts: WorkflowText[] = [];
  const guarded = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof WorkflowError)) throw error;
      problems.push(...error.problems);
    }
  };
  for (const file of files) await guarded(async () => void texts.push(await readWorkflowText(file)));
  if (!found?.isDirectory()) texts.push(...(await neighboursOf(path)));
  let planned: Planned | undefined;
  await guarded(async () => {
    planned = planBuild(texts, circumstancesOf(options));
  });
  return { asked: files, planned, problems: problems.filter(({ file }) => files.includes(file)) };
}

/** The other workflows of a file's directory that can be read. */
async function neighboursOf(file: string): Promise<WorkflowText[]> {
  const directory = dirname(file);
  if (!['.cofferdam', '.woodpecker'].includes(basename(directory))) return [];
  const all = await listWorkflows(dirname(directory)).catch(() => []);
  const others = all.filter((each) => dirname(each) === directory && basename(each) !== basename(file));
  const texts = await Promise.allSettled(others.map(readWorkflowText));
  return texts.flatMap((text) => (text.status === 'fulfilled' ? [text.value] : []));
}
