import { isIPv4, isIPv6 } from 'node:net';

/** Where a repository is. Holds no secret, so it may be shown, stored, and put into an argument list. */
export interface GitUrl {
  readonly scheme: 'https' | 'http' | 'ssh';
  /** Lower case; an IPv6 address is in brackets. */
  readonly host: string;
  readonly port: number;
  /** Begins with `/`, as written; `/~/x` is below the home of an ssh user. */
  readonly path: string;
  /** Who logs in; only ssh has one. */
  readonly user: string | undefined;
  /** In one spelling, without the scheme's own port: the same place is the same text. */
  toString(): string;
}

/** A URL that is not taken; the message says why and what to write, and repeats no password. */
export class GitUrlError extends Error {
  override readonly name = 'GitUrlError';
}

const longest = 2048;
const defaultPorts = { https: 443, http: 80, ssh: 22 } as const;

/**
 * Parses the URL of a remote repository: `https://host/path`, `ssh://user@host:port/path`, or git's short form of that,
 * `user@host:path`, whose path counts from the server's root as on all forges (`ssh://host/~/path`: from the home).
 * `http` only for `internal` hosts. What git or curl could read in another way than we do is refused, not repaired:
 * other transports (gitremote-helpers(7)), options, other spellings of addresses. Throws GitUrlError.
 */
export function parseGitUrl(text: string, { hosts }: { readonly hosts: 'public' | 'internal' }): GitUrl {
  const refuse = refusal(text);
  if (text.length > longest) refuse(`is longer than ${longest} characters`);
  if (text.startsWith('-')) refuse('begins with a dash');
  if (/[\p{Cc}\p{Cf}\p{Z}]/u.test(text)) refuse('has a space or a control character');
  if (/[^\x21-\x7e]/.test(text))
    refuse('has characters that are not ASCII: write xn--… for the host, %XX in the path');

  const [, helper] = /^([^/:@]*)::/.exec(text) ?? [];
  if (helper !== undefined) refuse(`names the transport '${helper}::'; only https and ssh are used`);
  const [, scheme = 'ssh', authority = '', path = ''] =
    /^([^/:@]+):\/\/([^/]*)(.*)$/.exec(text) ?? shortForm(text) ?? refuse('is no https:// or ssh:// URL');
  const known = schemeOf(scheme, hosts, refuse);

  const [, user, rest = ''] = /^(?:(.*)@)?(.*)$/.exec(authority) ?? [];
  const [, name = '', port] =
    /^(\[[^\]]*\]|[^:[\]]*)(?::(\d{1,5}))?$/.exec(rest) ?? refuse('has no host, or a port that is no number');
  const value = {
    scheme: known,
    host: hostOf(name, refuse),
    port: port === undefined ? defaultPorts[known] : portOf(port, refuse),
    path: pathOf(path, refuse),
    user: userOf(user, known, refuse),
  };
  return { ...value, toString: () => format(value) };
}

/** Whether both are on one server, so that what logs in at one may be shown to the other. */
export function sameServer(a: GitUrl, b: GitUrl): boolean {
  return a.scheme === b.scheme && a.host === b.host && a.port === b.port;
}

type Refuse = (reason: string) => never;

/** The URL as a message may show it: without what may be a password or a token, and not at full length. */
function refusal(text: string): Refuse {
  const shown = text.replace(/^((?:[^/@]*:\/\/)?)[^]*@/, '$1…@').replace(/[?#][^]*$/, '?…');
  return (reason) => {
    throw new GitUrlError(`the repository URL ${JSON.stringify(shown.slice(0, 100))} ${reason}`);
  };
}

/** `host:path` and `user@host:path`, as git tells them from others; git decodes no %XX in this form. */
function shortForm(text: string): readonly (string | undefined)[] | undefined {
  const [, authority, path = ''] = /^((?:[^/:@]*@)?(?:\[[^\]/]*\]|[^/:@[\]]+)):(.*)$/.exec(text) ?? [];
  // `https:host/x`: git would look for a host called https.
  if (authority === undefined || /^(https?|ssh|git|file|ftps?|ext|fd)$/i.test(authority)) return undefined;
  if (/^(-|\/\/|[^/]*@[^/]*:)/.test(path)) return undefined;
  return [text, 'ssh', authority, `/${path.replace(/^\//, '').replaceAll('%', '%25')}`];
}

function schemeOf(text: string, hosts: 'public' | 'internal', refuse: Refuse): GitUrl['scheme'] {
  const scheme = text.toLowerCase();
  if (scheme === 'https' || scheme === 'ssh') return scheme;
  if (scheme === 'git+ssh' || scheme === 'ssh+git') return refuse('has an old scheme: write ssh://');
  if (scheme !== 'http') return refuse(`has the scheme ${scheme}; only https and ssh are used`);
  if (hosts === 'internal') return 'http';
  return refuse('is plain http, which anybody on the way can change: write https://');
}

function userOf(text: string | undefined, scheme: GitUrl['scheme'], refuse: Refuse): string | undefined {
  if (scheme !== 'ssh' && text !== undefined) {
    return refuse('has a user or password in it: take them out and give them with `cofferdam repo add`');
  }
  if (scheme !== 'ssh') return undefined;
  // Without one, ssh would log in under the worker's own name.
  if (text === undefined) return 'git';
  if (text.includes(':')) refuse('has a password in it: ssh gets in by a key, see `cofferdam repo add`');
  return /^[A-Za-z0-9_.][A-Za-z0-9_.+-]{0,63}$/.test(text)
    ? text
    : refuse('has a user name that cannot be one');
}

/**
 * Addresses in their usual form only: for inet_aton(3), and so for curl, `0x7f.1` and `2130706433` are 127.0.0.1 too.
 */
function hostOf(text: string, refuse: Refuse): string {
  if (text === '') return refuse('has no host');
  if (text.startsWith('-')) return refuse('has a host that begins with a dash');
  const host = text.toLowerCase();
  if (host.startsWith('[')) {
    if (!isIPv6(host.slice(1, -1)) || host.includes('%'))
      return refuse('has brackets without an IPv6 address');
    return new URL(`http://${host}`).hostname;
  }
  const labels = host.split('.');
  if (/^(\d+|0x[\da-f]*)$/.test(labels.at(-1) ?? '')) {
    return isIPv4(host) ? host : refuse('has an address that is not in the form 192.0.2.1');
  }
  const isName =
    host.length <= 253 && labels.every((label) => /^[a-z\d_]([a-z\d_-]{0,61}[a-z\d_])?$/.test(label));
  return isName ? host : refuse('has a host that is no domain name');
}

function portOf(text: string, refuse: Refuse): number {
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : refuse('has a port that is not between 1 and 65535');
}

function pathOf(text: string, refuse: Refuse): string {
  const path = text.replace(/\/+$/, '');
  if (path === '') return refuse('names no repository after the host');
  if (/[?#]/.test(path)) return refuse('has a query or a fragment');
  if (/["<>\\^`{|}]/.test(path) || /%(?![\da-f]{2})/i.test(path)) {
    return refuse('has characters in its path that must be written as %XX');
  }
  if (/%([01][\da-f]|7f)/i.test(path)) return refuse('has a control character in its path');
  const parts = path.split('/').map((part) => part.replace(/%2e/gi, '.'));
  if (parts.includes('.') || parts.includes('..')) return refuse("has '.' or '..' in its path");
  return path;
}

function format({ scheme, host, port, path, user }: Omit<GitUrl, 'toString'>): string {
  const login = user === undefined ? '' : `${user}@`;
  const at = port === defaultPorts[scheme] ? '' : `:${port}`;
  return `${scheme}://${login}${host}${at}${path}`;
}
