import { type GitUrl, parseGitUrl, sameServer } from '../../src/git/url.ts';
import type { RemoteOptions } from './remote.ts';

/** Where a repository is, and what it may be asked with. */
export type RemoteAccess = Pick<RemoteOptions, 'url' | 'credentials' | 'hosts'>;

/**
 * Where a submodule is fetched from: `written` is its `url` in .gitmodules, `parent` the URL of the repository that has
 * that file, `top` the one that the build is of. Only the server of `top` gets its credentials and may be in a private
 * network: what a commit says must lead neither to another. Where there is no key for ssh, which is so for all
 * other servers, the URL becomes the https URL that forges have beside it. Throws GitUrlError.
 */
export function submoduleRemote(written: string, parent: string, top: RemoteAccess): RemoteAccess {
  const topUrl = parseGitUrl(top.url, { hosts: top.hosts });
  const asked = parseGitUrl(absoluteUrl(written, parent), { hosts: top.hosts });
  const hasKey = top.credentials?.kind === 'ssh' && sameServer(asked, topUrl);
  const url = asked.scheme === 'ssh' && !hasKey ? overHttps(asked, topUrl) : asked;
  if (sameServer(url, topUrl)) return { ...top, url: String(url) };
  // Parsed again: plain http is for the private network alone.
  return {
    url: String(parseGitUrl(String(url), { hosts: 'public' })),
    credentials: undefined,
    hosts: 'public',
  };
}

function overHttps(url: GitUrl, top: GitUrl): GitUrl {
  const server = top.scheme !== 'ssh' && top.host === url.host ? top : undefined;
  const origin = server ? `${server.scheme}://${server.host}:${server.port}` : `https://${url.host}`;
  return parseGitUrl(origin + url.path, { hosts: 'internal' });
}

/**
 * Resolves `./x` and `../x` as git does (relative_url() of its remote.c, for URLs that have a host): each `../` cuts
 * off what is after the last slash, or colon, of the parent's URL; anything else is a URL of its own.
 */
function absoluteUrl(written: string, parent: string): string {
  if (!/^\.\.?\//.test(written)) return written;
  let base = parent.replace(/\/$/, '');
  let rest = written;
  let separator = '/';
  for (;;) {
    if (rest.startsWith('./')) rest = rest.slice(2);
    else if (rest.startsWith('../')) {
      rest = rest.slice(3);
      const slash = base.lastIndexOf('/');
      if (slash < 0) separator = ':';
      base = base.slice(0, slash < 0 ? Math.max(base.lastIndexOf(':'), 0) : slash);
    } else break;
  }
  return `${base}${separator}${rest}`.replace(/\/$/, '');
}
