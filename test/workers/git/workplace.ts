import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../../runtime/command.ts';
import type { Repository } from '../../../src/repositories.ts';
import type { FetchLimits } from '../../../workers/git/fetch.ts';
import { openRemote } from '../../../workers/git/remote.ts';
import { type GitRequest, type GitSources, gitSources, type GitTree } from '../../../workers/git/sources.ts';
import { layerCache } from '../../../workers/layer-cache.ts';
import { type HttpGitOptions, type HttpGitServer, serveHttp } from '../../git/http.ts';
import { makeRepository, type TestRepository } from '../../git/repository.ts';
import { testData } from '../../rootfs.ts';

/** A worker's sources, a git server with one repository, and what goes on between them. */
export interface Workplace extends AsyncDisposable {
  /** State of the worker. */
  readonly dataDir: string;
  readonly server: HttpGitServer;
  readonly origin: TestRepository;
  readonly url: string;
  readonly sources: GitSources;
  /** What was said while things went on. */
  readonly said: string[];
  /** A request for the repository; default: the tip of main. */
  request(more?: Partial<GitRequest>): GitRequest;
  /** `sources.use` of such a request. */
  use(more?: Partial<GitRequest>): Promise<GitTree>;
}

export const wholeCheckout: Repository['checkout'] = { submodules: 'none', lfs: 'none', paths: [] };

export async function workplace({
  limits = {},
  ...http
}: HttpGitOptions & { limits?: Partial<FetchLimits> } = {}): Promise<Workplace> {
  mkdirSync(testData, { recursive: true });
  // On a file system of the host: an overlay's layers cannot be on all of them.
  const root = mkdtempSync(join(testData, 'git-'));
  const dataDir = join(root, 'data');
  const origin = await makeRepository(root, 'origin.git');
  const server = await serveHttp(root, http);
  const url = `${server.url}/origin.git`;
  const cache = layerCache({ dataDir, capBytes: 1024 ** 3 });
  const sources = gitSources({ dataDir, cache, mirrorsCapBytes: 1024 ** 3, limits });
  const said: string[] = [];
  const request = (more: Partial<GitRequest> = {}): GitRequest => ({
    url,
    repository: undefined,
    ref: 'refs/heads/main',
    sha: undefined,
    checkout: wholeCheckout,
    remote: () => openRemote({ url, credentials: undefined, hosts: 'internal' }),
    signal: new AbortController().signal,
    progress: (line) => void said.push(line),
    ...more,
  });
  return {
    dataDir,
    server,
    origin,
    url,
    sources,
    said,
    request,
    use: (more) => sources.use(request(more)),
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** What a script prints where the layers are as overlayfs shows them: without network, by mounts that go with this call. */
export async function inMerged(tree: GitTree, script: string): Promise<string> {
  const place = mkdtempSync(join(tmpdir(), 'cofferdam-merged-'));
  try {
    for (const name of ['upper', 'work', 'merged']) mkdirSync(join(place, name));
    const layers = tree.directories.toReversed().join(':');
    const options = `lowerdir=${layers},upperdir=${place}/upper,workdir=${place}/work,volatile`;
    const mount = `mount -t tmpfs none ${place} && mkdir ${place}/upper ${place}/work ${place}/merged`;
    const all = `set -e; ${mount}; mount -t overlay -o ${options} overlay ${place}/merged; cd ${place}/merged; ${script}`;
    const env = {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C',
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
    };
    const { stdout } = await run({ file: 'unshare', args: ['--mount', '--net', 'sh', '-c', all], env });
    return stdout.toString().trimEnd();
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
