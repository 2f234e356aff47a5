import { CommandError, run } from '../../../runtime/command.ts';
import { quote } from '../../../runtime/host/shell.ts';
import { type GitUrl, parseGitUrl } from '../../../src/git/url.ts';
import { basic, openRemote, type RemoteOptions } from '../remote.ts';
import { RemoteError } from '../remote-error.ts';
import { type LfsEndpoint, parseAction } from './batch.ts';

/**
 * Where the files of a repository are: beside it, or where its ssh server says (docs/api/server-discovery.md of
 * git-lfs). `.lfsconfig` is not read: a commit must not choose who is asked. Throws RemoteError.
 */
export async function findEndpoint(remote: RemoteOptions): Promise<LfsEndpoint> {
  const url = parseGitUrl(remote.url, { hosts: remote.hosts });
  if (url.scheme === 'ssh') return await askOverSsh(url, remote);
  const { credentials } = remote;
  return {
    url: `${String(url).replace(/\.git$/, '')}.git/info/lfs`,
    headers: credentials?.kind === 'https' ? { Authorization: basic(credentials) } : {},
  };
}

async function askOverSsh(url: GitUrl, options: RemoteOptions): Promise<LfsEndpoint> {
  const remote = await openRemote(options);
  const { GIT_SSH_COMMAND: ssh = '' } = remote.env;
  const host = url.host.replace(/^\[|\]$/g, '');
  const question = `git-lfs-authenticate ${quote(decodeURIComponent(url.path).slice(1))} download`;
  const script = `exec ${ssh} -p "$1" -- "$2" "$3"`;
  const args = ['-c', script, 'sh', String(url.port), `${url.user}@${host}`, question];
  try {
    const { stdout } = await run(
      { file: 'sh', args, env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C.UTF-8' } },
      {
        maxStdout: 64 * 1024,
        ...(options.signal && { signal: options.signal }),
      },
    );
    const { href, header } = parseAction(stdout.toString());
    return { url: href, headers: header };
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof RemoteError) throw error;
    const explained = error instanceof CommandError ? await remote.explain(error) : undefined;
    if (explained) throw explained;
    const reason = error instanceof Error ? error.message : String(error);
    throw new RemoteError('refused', `${remote.url} does not say where its Git LFS files are: ${reason}`, {
      cause: error,
    });
  } finally {
    await remote.dispose();
  }
}
