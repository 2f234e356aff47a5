import { type CommandError, run } from '../../runtime/command.ts';
import { atLeast } from '../../runtime/host/version.ts';
import { type GitUrl, GitUrlError, parseGitUrl } from '../../src/git/url.ts';
import type { GitCredentials } from '../../src/repositories.ts';
import { type Hosts, type Lookup, resolveHost } from './addresses.ts';
import { failureOf } from './failure.ts';
import { namelessFile } from './nameless-file.ts';
import { RemoteError } from './remote-error.ts';
import { sshCommand } from './ssh.ts';

/** A remote repository that git may be run against now. */
export interface GitRemote {
  /** Without credentials. */
  readonly url: string;
  /** `key=value`, each for an option `-c` of git; no secrets. */
  readonly config: readonly string[];
  /**
   * To be added to the environment of git, which should have nothing else but PATH, HOME, locale and the like. Holds
   * the credentials: only this user's processes and root can read a process's environment, and builds run as others.
   */
  readonly env: Readonly<Record<string, string>>;
  /** What went wrong when git failed on this remote; undefined: something that is not about the remote. */
  explain(error: CommandError): Promise<RemoteError | undefined>;
  /** Forgets the credentials. No git may be running on it any more. */
  dispose(): Promise<void>;
}

export interface RemoteOptions {
  readonly url: string;
  /** Undefined: everybody may read it. */
  readonly credentials: GitCredentials | undefined;
  readonly hosts: Hosts;
  readonly signal?: AbortSignal | undefined;
  /** Resolves names; default: as the system does. */
  readonly look?: Lookup;
}

/**
 * Checks a remote and pins it to the addresses that were checked, so that a name that changes its address in between
 * gains nothing. Nothing is sent to it yet, and no process is started for one that is refused. Throws RemoteError.
 */
export async function openRemote({
  url,
  credentials,
  hosts,
  signal,
  look,
}: RemoteOptions): Promise<GitRemote> {
  const parsed = parse(url, hosts);
  checkCredentials(parsed, credentials);
  const addresses = await resolveHost(parsed.host, hosts, look);
  signal?.throwIfAborted();
  await checkGit();
  const explain = (error: CommandError) => failureOf(parsed, addresses, error);
  const base = { url: String(parsed), explain, config: closed };
  if (credentials?.kind === 'ssh') {
    const { env, dispose } = overSsh(parsed, addresses[0], credentials);
    return { ...base, env, dispose };
  }
  return {
    ...base,
    config: [...closed, ...pinned(parsed, addresses)],
    env: { ...closedEnv(parsed), ...(credentials && loginHeader(parsed, credentials)) },
    dispose: () => Promise.resolve(),
  };
}

/** Followed redirects would be asked for by name again, at any address: they are told instead (failure.ts). */
const closed = ['http.followRedirects=false', 'http.proxy=', 'credential.helper=', 'core.askPass='];

function closedEnv({ scheme }: GitUrl): Record<string, string> {
  return { GIT_ALLOW_PROTOCOL: scheme, GIT_TERMINAL_PROMPT: '0' };
}

/** CURLOPT_RESOLVE: curl takes these for the name, and asks nobody. */
function pinned({ host, port }: GitUrl, addresses: readonly string[]): string[] {
  const written = addresses.map((address) => (address.includes(':') ? `[${address}]` : address));
  // An address in the URL is its own; curl would not even read an entry for one in brackets.
  return addresses[0] === host.replace(/^\[|\]$/g, '')
    ? []
    : [`http.curloptResolve=${host}:${port}:${written.join(',')}`];
}

/** By environment, since arguments can be read by everybody; and for this server only. */
function loginHeader(
  { scheme, host, port }: GitUrl,
  login: GitCredentials & { kind: 'https' },
): Record<string, string> {
  return {
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: `http.${scheme}://${host}:${port}/.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: ${basic(login)}`,
  };
}

/** The value of an Authorization header (RFC 7617). */
export function basic({ user, password }: { readonly user: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

function overSsh(url: GitUrl, address: string, { privateKey, knownHosts }: GitCredentials & { kind: 'ssh' }) {
  // OpenSSH reads no key whose last line has no end.
  const key = namelessFile(`${privateKey.trimEnd()}\n`);
  const known = namelessFile(knownHosts);
  const env = {
    ...closedEnv(url),
    GIT_SSH_COMMAND: sshCommand(url, address, { privateKey: key.path, knownHosts: known.path }),
    GIT_SSH_VARIANT: 'ssh',
  };
  const dispose = async () => {
    key.close();
    known.close();
  };
  return { env, dispose };
}

function parse(url: string, hosts: Hosts): GitUrl {
  try {
    return parseGitUrl(url, { hosts });
  } catch (error) {
    if (!(error instanceof GitUrlError)) throw error;
    throw new RemoteError('refused', error.message, { cause: error });
  }
}

function checkCredentials(url: GitUrl, credentials: GitCredentials | undefined): void {
  const refuse = (reason: string) => {
    throw new RemoteError('refused', `${String(url)} ${reason}`);
  };
  const kind = url.scheme === 'ssh' ? 'ssh' : 'https';
  if (kind === 'ssh' && !credentials) refuse('needs a key: give one with `cofferdam repo add`, or use https');
  if (credentials && credentials.kind !== kind)
    refuse(`cannot be used with credentials for ${credentials.kind}`);
  // A line break would begin another header, or another setting.
  if (credentials?.kind === 'https' && /\p{Cc}/u.test(credentials.user + credentials.password)) {
    refuse('has credentials with a control character: give them again with `cofferdam repo add`');
  }
}

let checked: Promise<void> | undefined;

/** Once is enough for a process. */
function checkGit(): Promise<void> {
  checked ??= checkVersion().catch((error: unknown) => {
    checked = undefined;
    throw error;
  });
  return checked;
}

async function checkVersion(): Promise<void> {
  const { stdout } = await run({ file: 'git', args: ['--version'] }).catch((cause: unknown) => {
    throw new RemoteError('machine', 'git cannot be run on this worker: see cofferdam doctor', { cause });
  });
  const version = /(\d[\d.]+)/.exec(stdout.toString())?.[1] ?? '0';
  // Older ones ignore http.curloptResolve without a word.
  if (atLeast(version, '2.37')) return;
  throw new RemoteError('machine', `git ${version} on this worker is too old: install git 2.37 or newer`);
}
