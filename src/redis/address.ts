import { RedisError } from './error.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

interface Login {
  readonly username?: string;
  readonly password?: string;
}

/** Where a Redis is and how to get in. */
export type RedisAddress =
  | ({ readonly kind: 'socket'; readonly path: string; readonly db: number } & Login)
  | ({ readonly kind: 'server'; readonly at: HostPort; readonly tls: boolean; readonly db: number } & Login)
  | ({ readonly kind: 'cluster'; readonly nodes: readonly HostPort[]; readonly tls: boolean } & Login)
  | ({
      readonly kind: 'sentinel';
      readonly sentinels: readonly HostPort[];
      readonly master: string;
      readonly db: number;
    } & Login);

const forms =
  'redis://[user:password@]host[:port][/db], rediss://…, redis+unix:///path/to/redis.sock[?db=n], ' +
  'redis://host:port,host:port,… for a Cluster, or redis+sentinel://host:port,…/master-name[/db]';

/** Parses a Redis URL. Throws RedisError of kind `address`. */
export function parseRedisAddress(url: string): RedisAddress {
  const match =
    /^(redis|rediss|redis\+unix|redis\+sentinel):\/\/(?:([^@/]*)@)?([^/?]*)([^?]*)(?:\?db=(\d+))?$/.exec(url);
  if (!match) throw wrong(url);
  const [, scheme, credentials, authority = '', path = '', query] = match;
  const login = parseLogin(url, credentials);
  if (scheme === 'redis+unix') {
    if (authority !== '' || path.length < 2) throw wrong(url);
    return { kind: 'socket', path: decoded(url, path), db: Number(query ?? 0), ...login };
  }
  const parts = path.split('/').slice(1);
  if (query !== undefined) throw wrong(url);
  if (scheme === 'redis+sentinel') {
    const [master = '', db = '0', ...rest] = parts;
    if (master === '' || !/^\d+$/.test(db) || rest.length > 0) throw wrong(url);
    return { kind: 'sentinel', sentinels: hosts(url, authority, 26_379), master, db: Number(db), ...login };
  }
  const nodes = hosts(url, authority, 6379);
  const [db = ''] = parts;
  if (parts.length > 1 || !/^\d*$/.test(db)) throw wrong(url);
  const tls = scheme === 'rediss';
  const [at, ...others] = nodes;
  if (at && others.length === 0) return { kind: 'server', at, tls, db: Number(db), ...login };
  // A Cluster has database 0 only.
  if (Number(db) !== 0) throw wrong(url);
  return { kind: 'cluster', nodes, tls, ...login };
}

/** The URL as it may be shown: without the password. */
export function withoutPassword(url: string): string {
  return url.replace(/^([a-z+]+:\/\/[^@/]*?):[^@/]*@/, '$1:***@');
}

function hosts(url: string, authority: string, defaultPort: number): HostPort[] {
  return authority.split(',').map((each) => {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(each);
    const host = match?.[1] ?? match?.[2];
    if (host === undefined) throw wrong(url);
    return { host, port: Number(match?.[3] ?? defaultPort) };
  });
}

function parseLogin(url: string, credentials: string | undefined): Login {
  if (credentials === undefined) return {};
  const [user = '', ...rest] = credentials.split(':');
  const username = decoded(url, user);
  const password = decoded(url, rest.join(':'));
  return { ...(username !== '' && { username }), ...(password !== '' && { password }) };
}

function decoded(url: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong(url);
  }
}

function wrong(url: string): RedisError {
  return new RedisError('address', `'${withoutPassword(url)}' is no Redis URL; use one of ${forms}`);
}
