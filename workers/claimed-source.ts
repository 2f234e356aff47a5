import { lstat, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Repositories, Repository } from '../src/repositories.ts';
import type { BuildSpec, GitSource } from '../src/spec.ts';
import type { Storage } from '../src/storage/storage.ts';
import { shortRef, type Trust } from '../src/trigger.ts';
import { UsageError } from '../src/usage.ts';
import { findWorkflow } from '../src/workflow/find.ts';
import type { BuildSource } from './build.ts';
import { openRemote } from './git/remote.ts';
import type { GitRequest, GitSources } from './git/sources.ts';
import type { RemoteAccess } from './git/submodule-url.ts';
import { SourceError } from './source.ts';
import { openUpload, type UploadCache } from './uploads.ts';

/** What a claimed build is made from. */
export interface ClaimedSource {
  readonly build: BuildSource;
  /** A directory in which its workflow is to be found; undefined: it has no files. */
  readonly workflows: string | undefined;
}

/** Who waits for a source, and hears why it takes long. */
export interface Waiting {
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

/** What was asked for, and by whom. */
type Asked = Pick<BuildSpec, 'source' | 'trust'>;

/** Brings the files of claimed builds to this machine. */
export interface ClaimedSources {
  /**
   * `sha`: the commit that an earlier attempt found where the request names only a ref. Throws SourceError, VaultError,
   * what the storage throws, and the signal's reason.
   */
  of(spec: Asked, sha: string | undefined, waiting: Waiting): Promise<ClaimedSource>;
  /** The text of the workflow at another commit of a build's repository; undefined: none there. Throws as `of`. */
  readonly workflowAt: (source: GitSource, at: NonNullable<GitSource['base']>) => Promise<string | undefined>;
}

export interface ClaimedSourcesTools {
  readonly storage: Storage;
  readonly uploads: UploadCache;
  readonly git: GitSources;
  readonly repositories: Pick<Repositories, 'get' | 'keys'>;
}

export function claimedSources({ storage, uploads, git, repositories }: ClaimedSourcesTools): ClaimedSources {
  const gitRequest = async (source: GitSource, trust: Trust, waiting: Waiting): Promise<GitRequest> => {
    const { url, ref, sha } = source;
    const repository = await registered(source, repositories);
    const access = async (): Promise<RemoteAccess> => ({
      url,
      credentials: repository && (await repositories.keys(repository.name))?.git,
      hosts: repository?.hosts ?? 'public',
    });
    return {
      url,
      ref,
      sha,
      repository: repository?.name,
      ...waiting,
      checkout: repository?.checkout ?? { submodules: 'none', lfs: 'none', paths: [] },
      remote: async () => openRemote({ ...(await access()), signal: waiting.signal }),
      access: { remote: access, submodules: trust === 'trusted' ? 'with-credentials' : 'public' },
    };
  };

  return {
    of: async ({ source, trust }, sha, waiting) => {
      if (source.kind === 'none') {
        return { build: { directories: [], hidden: [], git: {} }, workflows: undefined };
      }
      if (source.kind === 'upload') {
        const tree = await uploads.use(source.digest, () => openUpload(storage, source.digest));
        const build = { directories: [tree.directory], locks: [tree.lock], hidden: [], git: {} };
        return { build, workflows: tree.directory };
      }
      const request = await gitRequest(source, trust, waiting);
      const tree = await git.use({ ...request, sha: source.sha ?? sha });
      const { directories, locks } = tree;
      const ref = source.ref === undefined ? {} : { ref: shortRef(source.ref) };
      return {
        build: { directories, locks, hidden: [], git: { sha: tree.sha, ...ref } },
        workflows: tree.workflows,
      };
    },
    workflowAt: async (source, { ref, sha }) => {
      const waiting = { signal: new AbortController().signal, progress: () => {} };
      const request = await gitRequest(source, 'untrusted', waiting);
      const directory = await git.workflows({ ...request, ref, sha });
      try {
        return await readFile(await workflowFile(directory), 'utf8');
      } catch (error) {
        if (error instanceof UsageError) return undefined;
        throw error;
      }
    },
  };
}

/** The repository whose credentials a source may have: nobody else's server ever gets to see them. */
async function registered(
  { repository: name, url }: GitSource,
  repositories: Pick<Repositories, 'get'>,
): Promise<Repository | undefined> {
  if (name === undefined) return undefined;
  const repository = await repositories.get(name);
  if (!repository) throw new SourceError(`the repository ${name} is not registered any more; add it again`);
  if (repository.url === url) return repository;
  throw new SourceError(
    `the build is of ${url}, but the repository ${name} is at ${repository.url} now; submit it again`,
  );
}

/**
 * The workflow file of a stranger's tree, which is read here outside any sandbox: a symlink could lead to any file of
 * this machine. Throws UsageError.
 */
export async function workflowFile(directory: string): Promise<string> {
  await refuseSymlinks(directory, workflowNames);
  const file = await findWorkflow(directory);
  await refuseSymlinks(dirname(file), [basename(file)]);
  return file;
}

const workflowNames = ['.cofferdam', '.woodpecker'].flatMap((base) => [base, `${base}.yaml`, `${base}.yml`]);

async function refuseSymlinks(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const found = await lstat(join(directory, name)).catch(() => undefined);
    if (found?.isSymbolicLink())
      throw new UsageError(`${name} is a symlink; a workflow must be a file of the source`);
  }
}
