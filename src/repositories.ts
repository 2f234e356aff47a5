/** Repositories that the service knows: where webhooks come from, and what their builds may do. */

import type { CronJob } from './crons/job.ts';
import { parseOwn } from './records/json.ts';
import { removeSecrets } from './secrets/place.ts';
import type { Settings } from './settings.ts';
import { contextOf, type SealedEntry } from './vault/entry.ts';
import type { Vault } from './vault.ts';

export const forges = ['github', 'gitlab', 'gitea', 'forgejo', 'bitbucket', 'generic'] as const;
export type ForgeKind = (typeof forges)[number];

/** What an untrusted build of the repository gets; what it asks for beyond is cut down to this. */
export interface UntrustedPolicy {
  /** `approval`: each build waits for `cofferdam approve`. `refuse`: events from forks make no build. */
  readonly builds: 'run' | 'approval' | 'refuse';
  readonly network: 'none' | 'egress';
  /** Upper bounds; what is undefined is bounded by the workflow of the target branch alone. */
  readonly limits: {
    readonly cpus?: number;
    readonly memoryBytes?: number;
    readonly diskBytes?: number;
    readonly pids?: number;
    readonly timeoutMs?: number;
  };
}

/** Events that make builds. */
export type EventKind = 'push' | 'tag' | 'pull_request';

export interface Repository {
  /** `owner/name`, or any other path of words; also the project of its builds, and its place in `/v1/hooks/:forge/`. */
  readonly name: string;
  /** `https://…` or `ssh://…`, without credentials. */
  readonly url: string;
  readonly forge: ForgeKind;
  /** The forge's API, such as `https://api.github.com`; undefined: no commit status is posted. */
  readonly apiUrl?: string;
  readonly defaultBranch: string;
  readonly events: readonly EventKind[];
  readonly untrusted: UntrustedPolicy;
  /** Event kinds of which a newer build of the same branch or pull request cancels the older ones. */
  readonly supersede: readonly ('push' | 'pull_request')[];
  /** Given to each of its builds, unless they say otherwise. */
  readonly defaults: {
    readonly priority?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly environment?: Readonly<Record<string, string>>;
  };
  /** Builds of it that run side by side; undefined: as for all projects. */
  readonly concurrency?: number;
  readonly checkout: {
    readonly submodules: 'none' | 'recursive';
    readonly lfs: 'none' | 'fetch';
    /** Directories and files to check out, as prefixes; empty: everything. */
    readonly paths: readonly string[];
  };
  /** Whether its host may be one of a private network: a forge of one's own. */
  readonly hosts: 'public' | 'internal';
  /** Builds at set times; by name. */
  readonly crons: readonly CronJob[];
  /** `public`: anybody may see its badges, and so that it exists. */
  readonly badge: 'public' | 'private';
  /** ISO 8601. */
  readonly createdAt: string;
}

/** How git gets in. */
export type GitCredentials =
  | { readonly kind: 'https'; readonly user: string; readonly password: string }
  | { readonly kind: 'ssh'; readonly privateKey: string; readonly knownHosts: string };

/** The repository's own secrets; sealed wherever they are stored. */
export interface RepositoryKeys {
  /** The newest first; an older one is accepted until it is removed, so that it can be changed without a gap. */
  readonly webhookSecrets: readonly string[];
  readonly git?: GitCredentials;
  /** For commit statuses. */
  readonly forgeToken?: string;
}

/** Names are the same whatever their case. */
export interface Repositories {
  /** False: there is one of that name already. Throws VaultError. */
  add(repository: Repository, keys: RepositoryKeys): Promise<boolean>;
  get(name: string): Promise<Repository | undefined>;
  /** By name. */
  list(): Promise<Repository[]>;
  /**
   * Replaces it, and its keys when they are given, as one step; undefined: there is none of that name. `make` may be
   * called again. Throws VaultError when keys are asked for or given, and what `make` throws.
   */
  change(
    name: string,
    make: (
      old: Repository,
      keys: () => RepositoryKeys,
    ) => { readonly repository: Repository; readonly keys?: RepositoryKeys },
  ): Promise<Repository | undefined>;
  /** Throws VaultError. */
  keys(name: string): Promise<RepositoryKeys | undefined>;
  /** With its secrets; its builds stay. */
  remove(name: string): Promise<boolean>;
}

interface Entry extends SealedEntry {
  readonly repository: Repository;
}

const kind = 'repositories';

export function openRepositories(settings: Settings, vault: Vault): Repositories {
  const entry = async (name: string): Promise<Entry | undefined> => {
    const text = await settings.get(kind, idOf(name));
    return text === undefined ? undefined : parseOwn<Entry>(text);
  };
  const contextFor = (name: string) => contextOf(kind, idOf(name));
  const open = ({ repository: { name }, sealed }: Entry): RepositoryKeys =>
    parseOwn(vault.open(sealed, contextFor(name)));
  const seal = (name: string, keys: RepositoryKeys) => vault.seal(JSON.stringify(keys), contextFor(name));

  return {
    add: async (repository, keys) => {
      const { name } = repository;
      const text = JSON.stringify({ repository, sealed: seal(name, keys) } satisfies Entry);
      return await settings.add(kind, idOf(name), text);
    },
    get: async (name) => (await entry(name))?.repository,
    list: async () =>
      [...(await settings.all(kind)).values()].map((text) => parseOwn<Entry>(text).repository),
    change: async (name, make) => {
      const text = await settings.change(kind, idOf(name), (old) => {
        const before = parseOwn<Entry>(old);
        const { repository, keys } = make(before.repository, () => open(before));
        return JSON.stringify({
          repository,
          sealed: keys ? seal(name, keys) : before.sealed,
        } satisfies Entry);
      });
      return text === undefined ? undefined : parseOwn<Entry>(text).repository;
    },
    keys: async (name) => {
      const found = await entry(name);
      return found && open(found);
    },
    remove: async (name) => {
      // First its secrets: left over by a crash between they would be the next one's of that name.
      await removeSecrets(settings, { kind: 'repository', name });
      return await settings.remove(kind, idOf(name));
    },
  };
}

const idOf = (name: string) => name.toLowerCase();
