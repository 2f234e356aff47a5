import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { Command, Option } from 'commander';
import { ulid } from 'ulid';
import { run } from '../../runtime/command.ts';
import { describeSource, SourceError } from '../../workers/source.ts';
import type { Submission } from '../api/submission.ts';
import type { Client } from '../client.ts';
import { packCommand } from '../client/pack.ts';
import { createSpool } from '../client/spool.ts';
import { loadConfig } from '../config.ts';
import { planBuild } from '../workflow/build-plan.ts';
import { listWorkflows } from '../workflow/find.ts';
import { readWorkflowText } from '../workflow/read.ts';
import { withService } from './connect.ts';
import { UsageError } from '../usage.ts';
import { followToEnd } from './follow.ts';
import { size } from './format.ts';
import { collectPairs, durationOf, integerOf } from './words.ts';

interface SubmitOptions {
  readonly repo?: string;
  readonly ref?: string;
  readonly sha?: string;
  readonly workflow?: string;
  readonly project?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly priority?: string;
  readonly label: Readonly<Record<string, string>>;
  readonly group?: string;
  readonly delay?: string;
  readonly follow?: true;
  readonly json?: true;
}

/** `cofferdam submit`: hands a directory, or a commit of a repository, to the service as a build. */
export function command(): Command {
  return new Command('submit')
    .summary('have the service run the workflow of a directory or a repository')
    .description(
      'Uploads DIR (in a git work tree without what git ignores; nothing when the service has it already) and ' +
        "queues a build of it; or queues one of a commit of a repository. The build's id is on stdout.",
    )
    .argument('[dir|url]', 'the directory, or the repository as https://…, ssh://… or user@host:path', '.')
    .option('-r, --repo <name>', 'a repository of `cofferdam repo ls`, instead of a directory')
    .option('--ref <ref>', 'of a repository: the branch, or a full ref such as refs/tags/v1')
    .option(
      '--sha <commit>',
      'of a repository: the commit; default: the one that the ref has when the build begins',
    )
    .option('-w, --workflow <file>', 'the workflow file, instead of the one found in the source')
    .option(
      '-p, --project <name>',
      'what is built; projects take turns; default: the name of DIR, or the repository',
    )
    .addOption(
      new Option('-e, --env <key=value>', 'set a variable for all steps; may be repeated')
        .argParser(collectPairs('--env'))
        .default({}, 'none'),
    )
    .option('--priority <0-9>', 'within the project: 9 goes first; default: 5')
    .addOption(
      new Option('-l, --label <key=value>', 'only a worker with this label; may be repeated')
        .argParser(collectPairs('--label'))
        .default({}, 'none'),
    )
    .option('--group <name>', 'builds of one group run one after another')
    .option('--delay <duration>', 'do not start it for this long, as 10m')
    .option('-f, --follow', 'show the build until it ends, and exit as it did; Ctrl-C detaches')
    .option('--json', 'print the record as JSON; with --follow events as NDJSON')
    .addHelpText(
      'after',
      '\nExit codes with --follow: 0 passed, 1 failed, 2 usage or invalid workflow, 3 errored, 124 timed out, ' +
        '130 canceled or detached.\n',
    )
    .action(submit);
}

async function submit(argument: string, options: SubmitOptions): Promise<void> {
  const commit = commitOf(argument, options);
  const workflow = commit
    ? await chosenWorkflow(options.workflow)
    : await workflowText(argument, options.workflow);
  const wanted = requestOf(commit ? options.project : await projectOf(argument, options.project), options);
  process.exitCode = await withService(async (client) => {
    const source = commit ? { source: commit } : await upload(client, argument);
    const build = await client.submit(
      { ...wanted, ...source, ...(workflow !== undefined && { workflow }) },
      ulid(),
    );
    if (!options.follow) {
      process.stdout.write(options.json ? `${JSON.stringify(build)}\n` : `${build.id}\n`);
      process.stderr.write(`queued at ${client.url}; cofferdam logs -f ${build.id} shows the build\n`);
      return 0;
    }
    process.stderr.write(`${build.id} queued at ${client.url}\n`);
    return await followToEnd(client, build.id, { json: options.json === true });
  });
}

type Commit = Extract<Submission['source'], { readonly kind: 'git' }>;

/** The commit that is meant; undefined: a directory is. */
function commitOf(argument: string, { repo, ref, sha }: SubmitOptions): Commit | undefined {
  const isUrl = /^[a-z][a-z\d+.-]*:\/\/|^[^/]+@[^/]+:/i.test(argument) && !existsSync(argument);
  if (repo !== undefined && argument !== '.') {
    throw new UsageError(`say either --repo ${repo} or ${argument}, not both`);
  }
  const commit = { ...(ref !== undefined && { ref }), ...(sha !== undefined && { sha }) };
  if (repo !== undefined) return { kind: 'git', repository: repo, ...commit };
  if (isUrl) return { kind: 'git', url: argument, ...commit };
  if (Object.keys(commit).length === 0) return undefined;
  throw new UsageError(`--ref and --sha are for a repository: give its URL or --repo NAME, not ${argument}`);
}

async function chosenWorkflow(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const workflow = await readWorkflowText(file);
  planBuild([workflow], undefined);
  return workflow.text;
}

/** The text of a file that was chosen; those in the directory travel with it, and are only checked. */
async function workflowText(directory: string, chosen: string | undefined): Promise<string | undefined> {
  if (chosen !== undefined) return await chosenWorkflow(chosen);
  const files = await listWorkflows(directory);
  planBuild(await Promise.all(files.map(readWorkflowText)), undefined);
  return undefined;
}

async function projectOf(directory: string, chosen: string | undefined): Promise<string> {
  const project = chosen ?? basename(await realpath(directory));
  if (project !== '') return project;
  throw new UsageError(`${directory} has no name to call the project by; use --project NAME`);
}

function requestOf(project: string | undefined, options: SubmitOptions): Omit<Submission, 'source'> {
  const { priority, group, delay } = options;
  return {
    ...(project !== undefined && { project }),
    environment: options.env,
    labels: options.label,
    ...(priority !== undefined && { priority: integerOf('--priority', priority, 0, 9) }),
    ...(group !== undefined && { group }),
    ...(delay !== undefined && {
      notBefore: new Date(Date.now() + durationOf('--delay', delay)).toISOString(),
    }),
  };
}

/** Packs the directory and uploads what the service does not have. */
async function upload(client: Client, directory: string): Promise<Pick<Submission, 'source' | 'sourceInfo'>> {
  const found = await describeSource(directory, loadConfig().dataDir).catch((error: unknown) => {
    throw error instanceof SourceError ? new UsageError(error.message, { cause: error }) : error;
  });
  const { input, ...tar } = packCommand(found.directory, found.hidden);
  await using spool = await createSpool();
  await run(tar, { input, onStdout: (chunk) => spool.write(chunk) });
  const { digest, bytes, zstd } = await spool.end();
  if (await client.hasUpload(digest)) process.stderr.write(`${size(bytes)} are there already\n`);
  else {
    process.stderr.write(`uploading ${size(bytes)} (${size(zstd.size)} compressed)\n`);
    await client.putUpload(digest, zstd);
  }
  const { ref, sha } = found.git;
  return {
    source: { kind: 'upload', digest },
    sourceInfo: {
      ...(ref !== undefined && { ref: ref.replace(/^refs\/heads\//, '') }),
      ...(sha !== undefined && { sha }),
    },
  };
}
