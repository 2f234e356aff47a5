import type { GitUrl } from '../git/url.ts';
import type { ForgeKind } from '../repositories.ts';

/** Hosts whose API is on another one. */
const publicApis: Readonly<Record<string, string>> = {
  'github.com': 'https://api.github.com',
  'ssh.github.com': 'https://api.github.com',
  'bitbucket.org': 'https://api.bitbucket.org/2.0',
};

/** Where the API of a forge that one runs oneself is, below its address, when it is not below a path. */
const ownApis: Readonly<Record<Exclude<ForgeKind, 'generic'>, string>> = {
  // https://docs.github.com/en/enterprise-server/rest/using-the-rest-api/getting-started-with-the-rest-api
  github: '/api/v3',
  gitlab: '/api/v4',
  gitea: '/api/v1',
  forgejo: '/api/v1',
  // https://developer.atlassian.com/server/bitbucket/rest/
  bitbucket: '/rest/api/latest',
};

/** The API of the forge that a repository is on, as far as its URL tells; undefined: there is none. */
export function apiUrlOf(forge: ForgeKind, { scheme, host, port }: GitUrl): string | undefined {
  if (forge === 'generic') return undefined;
  const known = publicApis[host];
  if (known !== undefined) return known;
  if (scheme === 'ssh') return `https://${host}${ownApis[forge]}`;
  const usual = scheme === 'https' ? 443 : 80;
  return `${scheme}://${host}${port === usual ? '' : `:${port}`}${ownApis[forge]}`;
}
