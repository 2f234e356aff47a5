import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { createAbort } from '../../workers/abort.ts';
import { defaultArtifactCaps } from '../../workers/artifacts.ts';
import { machineBudget } from '../../workers/budget.ts';
import { runBuild } from '../../workers/build.ts';
import { machineCaches } from '../../workers/caches/open.ts';
import { openMachine } from '../../workers/machine.ts';
import { localCircumstances, type LocalEvent, localEvents, localTrigger } from '../../workers/planning.ts';
import { namedSecrets } from '../../workers/claim/secrets.ts';
import { describeSource } from '../../workers/source.ts';
import { localTurns } from '../../workers/turns.ts';
import { artifactStore } from '../artifacts.ts';
import { loadConfig } from '../config.ts';
import type { BuildPlan, Plan } from '../workflow/plan.ts';
import { bytesOf, millisecondsOf } from '../workflow/quantity.ts';
import { createEvents } from './events.ts';
import { statusCode } from './exit.ts';
import { collectSecret } from './local-secrets.ts';
import { UsageError } from '../usage.ts';
import { createOutput } from './output.ts';
import { planCommand, planDirectory } from './run-plan.ts';
import { createScreen } from './screen.ts';
import { collectPairs } from './words.ts';

interface RunOptions {
  readonly workflow?: string;
  readonly image?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly secret: ReadonlyMap<string, string>;
  readonly artifacts?: string;
  readonly event: LocalEvent;
  readonly timeout?: string;
  readonly pull: 'missing' | 'always' | 'never';
  readonly authfile?: string;
  readonly insecureRegistry?: boolean;
  readonly logCap: string;
  readonly json?: boolean;
}

/** `cofferdam run`: a build here and now, without a server. */
export function command(): Command {
  return new Command('run')
    .summary("run a directory's workflow here, now, in a throwaway sandbox")
    .description(
      "Runs DIR's workflow (.cofferdam.yaml, .woodpecker.yaml, …) in a throwaway sandbox; or, with --image, one " +
        'command. DIR is only read: the build sees it at /workspace, without what git ignores. The log is on ' +
        'stdout, everything else on stderr.',
    )
    .usage('[options] [DIR]\n       cofferdam run [options] --image REF [DIR] -- CMD [ARG...]')
    .argument('[words...]')
    .option('-w, --workflow <file>', 'the workflow file, instead of the one found in DIR')
    .option('-i, --image <ref>', 'run one command in this image; the command follows --')
    .addOption(
      new Option('-e, --env <key=value>', 'set a variable for all steps; may be repeated')
        .argParser(collectPairs('--env'))
        .default({}, 'none'),
    )
    .addOption(
      new Option(
        '-s, --secret <name[=@file]>',
        'a secret: the variable NAME, or what is in FILE; may be repeated',
      )
        .argParser(collectSecret)
        .default(new Map(), 'none'),
    )
    .option('-a, --artifacts <dir>', 'keep artifacts in this directory')
    .addOption(
      new Option('--event <event>', 'what the build is taken for where workflows ask')
        .choices([...localEvents])
        .default('manual'),
    )
    .option('-t, --timeout <duration>', 'stop each workflow after this long, as 30m or 90s')
    .addOption(
      new Option('--pull <when>', 'when to ask the registry')
        .choices(['missing', 'always', 'never'])
        .default('missing'),
    )
    .option('--authfile <file>', 'registry credentials, as skopeo login writes them')
    .option('--insecure-registry', 'allow plain HTTP to a registry on this machine')
    .option('--log-cap <size>', 'keep this much of the log: its head and its tail', '64MiB')
    .option('--json', 'print events and the record as NDJSON on stdout')
    .addHelpText(
      'after',
      '\nExit codes: 0 passed, 1 failed, 2 usage or invalid workflow, 3 errored, 124 timed out, 130 canceled.\n' +
        '\nExamples:\n  cofferdam run\n  cofferdam run --artifacts out examples/hello\n' +
        '  cofferdam run --image bootstrap:bookworm+build-essential . -- make test\n',
    )
    .action(async (words: string[], options: RunOptions, self: Command) => {
      await run(words, options, self.parent?.args ?? []);
    });
}

async function run(words: readonly string[], options: RunOptions, raw: readonly string[]): Promise<never> {
  const { directory, args } = operands(words, options, raw);
  const config = loadConfig();
  const planned = await planOf(directory, args, options);
  const plan = withOptions(planned.plan, options);
  const secrets = namedSecrets(plan, options.secret, (step, secret) => {
    const given = `give it with --secret ${secret}=@FILE, or with --secret ${secret} from the variable of that name`;
    return new UsageError(`step '${step}' names the secret '${secret}': ${given}`);
  });
  const logCapBytes = logCap(options.logCap);
  const { driver, images } = openMachine(config.dataDir, config.egressExceptions);
  const keptIn = options.artifacts;
  if (keptIn !== undefined) await makeArtifactsDirectory(keptIn);
  const output = createOutput();
  const form = plan.workflows.length > 1 ? 'lines' : 'sections';
  const screen = options.json ? createEvents(output) : createScreen(output, form);
  for (const warning of planned.warnings) screen.warning(warning);
  const abort = createAbort();

  const caches = machineCaches({
    dataDir: config.dataDir,
    maxBytes: config.cacheMaxBytes,
    storage: undefined,
    onTrouble: (error, what) => screen.warning(`${what}: ${String(error)}`),
  });

  const stop = onSignals(() => {
    // Somebody who is not heard, because nobody reads the log, ends this process by a third signal.
    if (abort.reason) stop();
    screen.progress(abort.reason ? 'killing the build' : 'stopping the build; once more to kill it at once');
    abort.request('canceled');
  });
  const record = await runBuild(
    {
      plan,
      repo: resolve(directory),
      about: { trigger: localTrigger(options.event, directory) },
      secrets,
      source: async () => {
        const { directory: path, hidden, git } = await describeSource(directory, config.dataDir);
        return { directories: [path], hidden, git };
      },
      logCapBytes,
      artifactCaps: defaultArtifactCaps,
    },
    {
      driver,
      turns: localTurns(plan),
      budget: machineBudget(config.worker),
      caches: caches.of({ project: `local:${resolve(directory)}`, trust: 'trusted' }),
      resolveImage: (ref, pull) =>
        images.resolve(ref, {
          pull: options.pull === 'missing' ? pull : options.pull,
          progress: (line) => screen.progress(`image ${ref}: ${line}`),
          ...(options.authfile !== undefined && { authFile: options.authfile }),
          ...(options.insecureRegistry && { insecureRegistry: true }),
        }),
      artifacts: artifactStore(keptIn),
      events: screen,
      abort,
    },
  );
  stop();
  await screen.end(record, keptIn);
  await caches.settled();
  // An image may still be in the making for a build that is over: its tools end with this process.
  process.exit(statusCode[record.status]);
}

/** Splits `[DIR] -- CMD…`: commander drops the `--`, the raw words still have it. */
function operands(
  words: readonly string[],
  { image, workflow, artifacts }: RunOptions,
  raw: readonly string[],
): { directory: string; args: readonly string[] } {
  const dash = raw.indexOf('--');
  const args = dash < 0 ? [] : raw.slice(dash + 1);
  const before = words.slice(0, words.length - args.length);
  if (image === undefined && args.length > 0) throw new UsageError('a command after -- needs --image REF');
  if (image !== undefined && args.length === 0) {
    throw new UsageError('--image needs a command: cofferdam run --image REF [DIR] -- CMD [ARG...]');
  }
  if (image !== undefined && workflow !== undefined)
    throw new UsageError('choose --image or --workflow, not both');
  if (image !== undefined && artifacts !== undefined) {
    throw new UsageError(
      '--image keeps no artifacts: nothing says which files they are; write a workflow that names them in artifacts:',
    );
  }
  if (before.length > 1) {
    throw new UsageError(`one directory at a time, not ${before.join(' ')}; a command goes after --`);
  }
  return { directory: before[0] ?? '.', args };
}

async function planOf(
  directory: string,
  args: readonly string[],
  { image, workflow, env, event }: RunOptions,
): Promise<{ plan: BuildPlan; warnings: readonly string[] }> {
  const [file, ...rest] = args;
  if (image === undefined || file === undefined) {
    const circumstances = () => localCircumstances(directory, event, env);
    return await planDirectory({ directory, workflow, circumstances });
  }
  return { plan: await planCommand(directory, image, [file, ...rest]), warnings: [] };
}

function withOptions({ workflows }: BuildPlan, { env, timeout }: RunOptions): BuildPlan {
  const add = (step: Plan['steps'][number]) => ({ ...step, environment: { ...step.environment, ...env } });
  const change = (plan: Plan): Plan => {
    const [first, ...others] = plan.steps;
    return {
      ...plan,
      steps: [add(first), ...others.map(add)],
      ...(timeout !== undefined && { timeoutMs: checkedDuration(timeout) }),
    };
  };
  const [first, ...others] = workflows;
  return { workflows: [change(first), ...others.map(change)] };
}

/** In the bounds that a workflow's timeout has; setTimeout() would take more than 596 h for 1 ms. */
function checkedDuration(text: string): number {
  const ms = millisecondsOf(text);
  if (!/^(\d+h)?(\d+m)?(\d+s)?$/.test(text) || ms < 1000 || ms > millisecondsOf('168h')) {
    throw new UsageError(`--timeout takes 1s to 168h, as 1h30m, 30m or 90s, not '${text}'`);
  }
  return ms;
}

/** Before the build, not after it: whoever waits for a build wants its artifacts. */
async function makeArtifactsDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--artifacts ${directory} cannot be made: ${reason}`, { cause: error });
  }
}

function logCap(text: string): number {
  if (!/^\d+(B|kB|[KMG]i?B)?$/.test(text) || bytesOf(text) < 1024) {
    throw new UsageError(`--log-cap takes a size of at least 1KiB, as 64MiB, not '${text}'`);
  }
  return bytesOf(text);
}

/** Calls back on each SIGINT, SIGTERM and SIGHUP; returns what ends that. */
function onSignals(callback: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, callback);
  return () => {
    for (const signal of signals) process.off(signal, callback);
  };
}
