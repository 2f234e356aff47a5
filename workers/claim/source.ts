import { lstat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { Repositories, Repository } from '../../src/repositories.ts';
import type { BuildSpec, GitSource } from '../../src/spec.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { shortRef, type Trigger, type Trust } from '../../src/trigger.ts';
import { UsageError } from '../../src/usage.ts';
import { listWorkflows } from '../../src/workflow/find.ts';
import { readWorkflowText } from '../../src/workflow/read.ts';
import type { WorkflowText } from '../../src/workflow/workflow-text.ts';
import type { BuildSource } from '../build.ts';
import type { Since } from '../git/changed.ts';
import { openRemote } from '../git/remote.ts';
import type { GitRequest, GitSources } from '../git/sources.ts';
import type { RemoteAccess } from '../git/submodule-url.ts';
import { SourceError } from '../source.ts';
import { openUpload, type UploadCache } from '../uploads.ts';

/** What a claimed build is made from. */
export interface ClaimedSource {
  readonly build: BuildSource;
  /** Its workflow files; undefined: it has no files at all. Throws UsageError when none of these is a workflow. */
  readonly workflows: (() => Promise<readonly WorkflowText[]>) | undefined;
  /** Paths of the files that it changes; undefined: nobody knows. Throws as ClaimedSources. */
  readonly changed: () => Promise<readonly string[] | undefined>;
}

/** Who waits for a source, and hears why it takes long. */
export interface Waiting {
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

/** What was asked for, by whom, and why. */
type Asked = Pick<BuildSpec, 'source' | 'trust' | 'trigger'>;

/** Brings the files of claimed builds to this machine. */
export interface ClaimedSources {
  /**
   * `sha`: the commit that an earlier attempt found where the request names only a ref. Throws SourceError, VaultError,
   * what the storage throws, and the signal's reason.
   */
  of(spec: Asked, sha: string | undefined, waiting: Waiting): Promise<ClaimedSource>;
  /** The workflow files at another commit of a build's repository; undefined: none there. Throws as `of`. */
  readonly workflowsAt: (
    source: GitSource,
    at: NonNullable<GitSource['base']>,
  ) => Promise<readonly WorkflowText[] | undefined>;
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
    of: async ({ source, trust, trigger }, sha, waiting) => {
      const unknown = async () => undefined;
      if (source.kind === 'none') {
        const build = { directories: [], hidden: [], git: {} };
        return { build, workflows: undefined, changed: unknown };
      }
      if (source.kind === 'upload') {
        const tree = await uploads.use(source.digest, () => openUpload(storage, source.digest));
        const build = { directories: [tree.directory], locks: [tree.lock], hidden: [], git: {} };
        return { build, workflows: () => workflowTexts(tree.directory), changed: unknown };
      }
      const request = await gitRequest(source, trust, waiting);
      const tree = await git.use({ ...request, sha: source.sha ?? sha });
      const { directories, locks } = tree;
      const ref = source.ref === undefined ? {} : { ref: shortRef(source.ref) };
      return {
        build: { directories, locks, hidden: [], git: { sha: tree.sha, ...ref } },
        workflows: () => workflowTexts(tree.workflows),
        changed: async () => {
          const since = sinceOf(trigger);
          return since && (await git.changed({ ...request, sha: tree.sha }, since));
        },
      };
    },
    workflowsAt: async (source, { ref, sha }) => {
      const waiting = { signal: new AbortController().signal, progress: () => {} };
      const request = await gitRequest(source, 'untrusted', waiting);
      const directory = await git.workflows({ ...request, ref, sha });
      try {
        return await workflowTexts(directory);
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

/** Where the branch was before a push, which forges write as zeros for a new one; or where a pull request is to go. */
function sinceOf(trigger: Trigger): Since | undefined {
  const isCommit = (text: string) => /^(?!0+$)[0-9a-f]{40}([0-9a-f]{24})?$/.test(text);
  if (trigger.kind === 'push') {
    const { before = '' } = trigger;
    return isCommit(before) ? { kind: 'before', commit: before } : undefined;
  }
  if (trigger.kind !== 'pull_request') return undefined;
  const { baseSha = '' } = trigger.pullRequest;
  return isCommit(baseSha) ? { kind: 'target', commit: baseSha } : undefined;
}

/**
 * The workflow files of a stranger's tree, by their paths in it, which are read here outside any sandbox: a symlink could
 * lead to any file of this machine. Throws UsageError.
 */
async function workflowTexts(directory: string): Promise<readonly WorkflowText[]> {
  await refuseSymlinks(directory, workflowNames);
  const files = await listWorkflows(directory);
  for (const file of files) await refuseSymlinks(dirname(file), [basename(file)]);
  return await Promise.all(
    files.map(async (file) => ({ ...(await readWorkflowText(file)), file: relative(directory, file) })),
  );
}

const workflowNames = ['.cofferdam', '.woodpecker'].flatMap((base) => [base, `${base}.yaml`, `${base}.yml`]);

async function refuseSymlinks(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const found = await lstat(join(directory, name)).catch(() => undefined);
    if (found?.isSymbolicLink())
      throw new UsageError(`${name} is a symlink; a workflow must be a file of the source`);
  }
}
