import { parseBranch } from '../git/ref.ts';
import { type GitUrl, parseGitUrl, sameServer } from '../git/url.ts';
import type { GitCredentials, Repository, RepositoryKeys, UntrustedPolicy } from '../repositories.ts';
import { shortRef } from '../trigger.ts';
import { apiUrlOf } from './forge-api.ts';

/** What may be said of a repository; what is not there stays, and null takes away what need not be there. */
export interface RepositoryChange {
  readonly url?: string;
  readonly apiUrl?: string | null;
  readonly defaultBranch?: string;
  readonly events?: Repository['events'];
  readonly untrusted?: {
    readonly builds?: UntrustedPolicy['builds'];
    readonly network?: UntrustedPolicy['network'];
    readonly limits?: { readonly [Limit in keyof UntrustedPolicy['limits']]?: number | null };
  };
  readonly supersede?: Repository['supersede'];
  /** Labels and environment are replaced as a whole. */
  readonly defaults?: {
    readonly priority?: number | null;
    readonly labels?: Readonly<Record<string, string>>;
    readonly environment?: Readonly<Record<string, string>>;
  };
  readonly concurrency?: number | null;
  readonly checkout?: Partial<Repository['checkout']>;
  readonly hosts?: Repository['hosts'];
  readonly badge?: Repository['badge'];
}

/** Its secrets, said in the same way. */
export interface KeysChange {
  readonly credentials?: GitCredentials | null;
  readonly forgeToken?: string | null;
}

/** The change cannot be made; `pointer` is a JSON pointer into it, as `/url`. */
export class RepositoryChangeError extends Error {
  override readonly name = 'RepositoryChangeError';
  readonly pointer: string;

  constructor(pointer: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.pointer = pointer;
  }
}

/** What a new repository is when nothing more is said of it. Throws GitUrlError. */
export function newRepository(
  { name, forge, url }: Pick<Repository, 'name' | 'forge' | 'url'>,
  hosts: Repository['hosts'] = 'public',
): Repository {
  const place = parseGitUrl(url, { hosts });
  const apiUrl = apiUrlOf(forge, place);
  return {
    name,
    forge,
    url: place.toString(),
    ...(apiUrl !== undefined && { apiUrl }),
    defaultBranch: 'main',
    events: ['push', 'tag', 'pull_request'],
    untrusted: { builds: 'run', network: 'none', limits: {} },
    supersede: ['push', 'pull_request'],
    defaults: {},
    checkout: { submodules: 'none', lfs: 'none', paths: [] },
    hosts,
    crons: [],
    badge: 'private',
    createdAt: new Date().toISOString(),
  };
}

/** The repository after a change. Throws GitUrlError, GitRefError, and RepositoryChangeError. */
export function changedRepository(old: Repository, change: RepositoryChange): Repository {
  const { apiUrl: oldApi, concurrency: oldConcurrency, ...others } = old;
  const hosts = change.hosts ?? old.hosts;
  const url = parseGitUrl(change.url ?? old.url, { hosts });
  const moved = !sameServer(url, parseGitUrl(old.url, { hosts: old.hosts }));
  const {
    apiUrl = moved ? (apiUrlOf(old.forge, url) ?? null) : oldApi,
    concurrency = oldConcurrency,
    untrusted = {},
  } = change;
  checkPaths(change.checkout?.paths ?? []);
  return {
    ...others,
    hosts,
    url: url.toString(),
    ...present({ apiUrl, concurrency }),
    defaultBranch: shortRef(parseBranch(change.defaultBranch ?? old.defaultBranch)),
    events: change.events ?? old.events,
    supersede: change.supersede ?? old.supersede,
    untrusted: {
      builds: untrusted.builds ?? old.untrusted.builds,
      network: untrusted.network ?? old.untrusted.network,
      limits: present({ ...old.untrusted.limits, ...untrusted.limits }),
    },
    defaults: present({ ...old.defaults, ...change.defaults }),
    checkout: { ...old.checkout, ...change.checkout },
    badge: change.badge ?? old.badge,
  };
}

/**
 * The keys after a change of them and of their repository. Throws RepositoryChangeError: they are of another kind than
 * the URL, or were given for another server, which the new one must not get to see.
 */
export function changedKeys(
  keys: RepositoryKeys,
  change: KeysChange,
  { from, to }: { readonly from: Repository; readonly to: Repository },
): RepositoryKeys {
  const { git: oldGit, forgeToken: oldToken, ...others } = keys;
  const { credentials: git = oldGit, forgeToken = oldToken } = change;
  const url = parseGitUrl(to.url, to);
  if (git && change.credentials === undefined && !sameServer(url, parseGitUrl(from.url, from))) {
    const why = `those that it has are for ${from.url}; give those for ${to.url}, or null`;
    throw new RepositoryChangeError('/credentials', why);
  }
  if (forgeToken && change.forgeToken === undefined && originOf(to.apiUrl) !== originOf(from.apiUrl)) {
    const why = `the one that it has is for ${from.apiUrl ?? 'no API'}; give the one for ${to.apiUrl ?? 'none'}, or null`;
    throw new RepositoryChangeError('/forgeToken', why);
  }
  if (git) checkCredentials(git, url);
  return { ...others, ...present({ git, forgeToken }) };
}

function checkCredentials(git: GitCredentials, { scheme }: GitUrl): void {
  const kind = scheme === 'ssh' ? 'ssh' : 'https';
  if (git.kind !== kind) {
    throw new RepositoryChangeError(
      '/credentials/kind',
      `is ${git.kind}, and the repository's URL needs ${kind}`,
    );
  }
  if (git.kind === 'https') return;
  if (!/^-----BEGIN [A-Z ]*PRIVATE KEY-----$/m.test(git.privateKey)) {
    throw new RepositoryChangeError('/credentials/privateKey', 'is no private key in the form of ssh-keygen');
  }
  if (!/^[^\s#]+ +\S+ +\S+/m.test(git.knownHosts)) {
    const why = 'names no host; ssh-keyscan HOST prints such lines, and the forge says which are right';
    throw new RepositoryChangeError('/credentials/knownHosts', why);
  }
}

function checkPaths(paths: readonly string[]): void {
  for (const [i, path] of paths.entries()) {
    const parts = path.replace(/\/$/, '').split('/');
    if (!parts.some((part) => part === '' || part === '.' || part === '..')) continue;
    throw new RepositoryChangeError(`/checkout/paths/${i}`, 'is no path below the top of the repository');
  }
}

const originOf = (url: string | undefined) => (url === undefined ? undefined : new URL(url).origin);

/** Without what is null or undefined. */
function present<Values extends object>(
  values: Values,
): { readonly [Key in keyof Values]?: NonNullable<Values[Key]> } {
  const entries = Object.entries(values).filter(([, value]) => value !== null && value !== undefined);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as it says
  return Object.fromEntries(entries) as { readonly [Key in keyof Values]?: NonNullable<Values[Key]> };
}
