import { type Command, Option } from 'commander';
import type { KeysChange, RepositoryChange } from '../repositories/change.ts';
import { UsageError } from '../usage.ts';
import { type SecretInput, withoutNewline } from './secret-input.ts';
import { collectPairs, collectWords, cpusOf, durationOf, integerOf, sizeOf } from './words.ts';

/** Flags that say something of a repository; `none` and `--no-…` take away. */
export interface RepositoryFlags {
  readonly defaultBranch?: string;
  readonly apiUrl?: string;
  readonly events?: NonNullable<RepositoryChange['events']>;
  readonly supersede?: NonNullable<RepositoryChange['supersede']>;
  readonly untrusted?: 'run' | 'approval' | 'refuse';
  readonly untrustedNetwork?: 'none' | 'egress';
  readonly untrustedLimit?: Limits;
  readonly priority?: string;
  readonly label?: Readonly<Record<string, string>> | false;
  readonly env?: Readonly<Record<string, string>> | false;
  readonly concurrency?: string;
  readonly submodules?: 'none' | 'recursive';
  readonly lfs?: 'none' | 'fetch';
  readonly path?: readonly string[] | false;
  readonly hosts?: 'public' | 'internal';
  readonly badge?: 'public' | 'private';
  readonly credentials?: false;
  readonly httpsUser?: string;
  readonly httpsPasswordFile?: string;
  readonly sshKeyFile?: string;
  readonly knownHostsFile?: string;
  readonly forgeToken?: false;
  readonly forgeTokenFile?: string;
}

type Limits = NonNullable<NonNullable<RepositoryChange['untrusted']>['limits']>;

/** Adds those flags to a command. */
export function withRepositoryFlags(command: Command): Command {
  const choice = (flags: string, description: string, choices: readonly string[]) =>
    command.addOption(new Option(flags, description).choices(choices));
  const words = (flags: string, description: string, flag: string, known: readonly string[]) =>
    command.addOption(
      new Option(flags, `${description}: ${known.join(',')}, or none`).argParser(collectWords(flag, known)),
    );

  command.option('--default-branch <name>', 'default: main');
  words('--events <kinds>', 'events that make builds', '--events', ['push', 'tag', 'pull_request']);
  words('--supersede <kinds>', 'whose newer builds cancel older ones', '--supersede', [
    'push',
    'pull_request',
  ]);
  choice('--untrusted <policy>', "builds of strangers' pull requests", ['run', 'approval', 'refuse']);
  choice('--untrusted-network <class>', 'what they may reach at most', ['none', 'egress']);
  command.addOption(
    new Option(
      '--untrusted-limit <name=value>',
      'what they may use at most: cpus=2, memory=4GiB, disk=10GiB, pids=1024, timeout=30m, or NAME=none; may be repeated',
    ).argParser(collectLimits),
  );
  command.option('--priority <0-9>', 'of its builds; none: 5');
  pairs(command, '-l, --label <key=value>', '--label', 'only workers with this label; may be repeated');
  pairs(command, '-e, --env <key=value>', '--env', 'a variable for all steps, not secret; may be repeated');
  command.option('--concurrency <number>', 'builds of it side by side; none: as for all projects');
  choice('--submodules <which>', 'check out submodules', ['none', 'recursive']);
  choice('--lfs <which>', 'fetch files of Git LFS', ['none', 'fetch']);
  command.option('--path <path...>', 'check out only these directories and files');
  choice('--hosts <which>', 'internal: its host may be one of a private network', ['public', 'internal']);
  choice('--badge <who>', 'public: anybody may see how its branches fare', ['public', 'private']);
  return command
    .option('--api-url <url>', 'API of the forge; none: no commit status is posted')
    .option('--https-user <name>', 'who fetches over https')
    .option('--https-password-file <file>', 'a file with the password or token; - for stdin')
    .option('--ssh-key-file <file>', 'a file with the private key; - for stdin')
    .option('--known-hosts-file <file>', "a file with the host's public keys, as ssh-keyscan prints them")
    .option('--forge-token-file <file>', 'a file with the token for commit statuses; - for stdin');
}

/** Flags that take away what was said before. */
export function withRemovalFlags(command: Command): Command {
  return command
    .option('--no-label', 'any worker')
    .option('--no-env', 'no variables')
    .option('--no-path', 'check out everything')
    .option('--no-credentials', 'fetch as anybody does')
    .option('--no-forge-token', 'post no commit statuses');
}

/** What the flags say, with the files that they name. Throws UsageError. */
export async function changeOf(
  flags: RepositoryFlags,
  input: SecretInput,
): Promise<Omit<RepositoryChange, 'url'> & KeysChange> {
  const { defaultBranch, apiUrl, events, supersede, hosts, badge, priority, label, env, path } = flags;
  const untrusted = given({
    builds: flags.untrusted,
    network: flags.untrustedNetwork,
    limits: flags.untrustedLimit,
  });
  const defaults = given({
    priority: unlessNone(priority, (text) => integerOf('--priority', text, 0, 9)),
    labels: label === false ? {} : label,
    environment: env === false ? {} : env,
  });
  const checkout = given({
    submodules: flags.submodules,
    lfs: flags.lfs,
    paths: path === false ? [] : path,
  });
  return {
    ...given({
      defaultBranch,
      events,
      supersede,
      hosts,
      badge,
      apiUrl: unlessNone(apiUrl, (text) => text),
      concurrency: unlessNone(flags.concurrency, (text) => integerOf('--concurrency', text, 1, 1_000_000)),
      credentials: await credentialsOf(flags, input),
      forgeToken: await forgeTokenOf(flags, input),
    }),
    ...(Object.keys(untrusted).length > 0 && { untrusted }),
    ...(Object.keys(defaults).length > 0 && { defaults }),
    ...(Object.keys(checkout).length > 0 && { checkout }),
  };
}

async function credentialsOf(flags: RepositoryFlags, input: SecretInput): Promise<KeysChange['credentials']> {
  const { httpsUser, httpsPasswordFile, sshKeyFile, knownHostsFile, credentials } = flags;
  const https = httpsUser !== undefined || httpsPasswordFile !== undefined;
  const ssh = sshKeyFile !== undefined || knownHostsFile !== undefined;
  if (Number(https) + Number(ssh) + Number(credentials === false) > 1) {
    throw new UsageError('credentials are either of https, or of ssh, or none');
  }
  if (https) {
    if (httpsUser === undefined || httpsPasswordFile === undefined) {
      throw new UsageError('https needs both --https-user and --https-password-file');
    }
    const password = withoutNewline(await input.read('--https-password-file', httpsPasswordFile));
    return { kind: 'https', user: httpsUser, password };
  }
  if (ssh) {
    if (sshKeyFile === undefined || knownHostsFile === undefined) {
      throw new UsageError('ssh needs both --ssh-key-file and --known-hosts-file');
    }
    const privateKey = await input.read('--ssh-key-file', sshKeyFile);
    return { kind: 'ssh', privateKey, knownHosts: await input.read('--known-hosts-file', knownHostsFile) };
  }
  return credentials === false ? null : undefined;
}

async function forgeTokenOf(
  { forgeToken, forgeTokenFile }: RepositoryFlags,
  input: SecretInput,
): Promise<KeysChange['forgeToken']> {
  if (forgeTokenFile === undefined) return forgeToken === false ? null : undefined;
  return withoutNewline(await input.read('--forge-token-file', forgeTokenFile));
}

/** `--no-…` is another flag, so that it has no default. */
function pairs(command: Command, flags: string, flag: string, description: string): void {
  const collect = collectPairs(flag);
  command.option<Readonly<Record<string, string>>>(flags, description, (pair, before) =>
    collect(pair, before ?? {}),
  );
}

const limitNames: Readonly<Record<string, readonly [keyof Limits, (flag: string, text: string) => number]>> =
  {
    cpus: ['cpus', cpusOf],
    memory: ['memoryBytes', sizeOf],
    disk: ['diskBytes', sizeOf],
    pids: ['pids', (flag, text) => integerOf(flag, text, 1, 4_194_304)],
    timeout: ['timeoutMs', durationOf],
  };

function collectLimits(pair: string, before: Limits = {}): Limits {
  const [name = '', value = ''] = pair.split('=');
  const limit = limitNames[name];
  if (!limit || !pair.includes('=')) {
    const names = Object.keys(limitNames).join(', ');
    throw new UsageError(`--untrusted-limit takes NAME=VALUE with one of ${names}, not '${pair}'`);
  }
  const [property, parse] = limit;
  return { ...before, [property]: value === 'none' ? null : parse(`--untrusted-limit ${name}`, value) };
}

const unlessNone = <Value>(text: string | undefined, parse: (text: string) => Value) =>
  text === undefined ? undefined : text === 'none' ? null : parse(text);

/** Without what is undefined. */
function given<Values extends object>(
  values: Values,
): { readonly [Key in keyof Values]?: Exclude<Values[Key], undefined> } {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as it says
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    readonly [Key in keyof Values]?: Exclude<Values[Key], undefined>;
  };
}
