import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { type EgressException, egressExceptionsForm, parseEgressExceptions } from './egress-exceptions.ts';
import { bytesOf } from './workflow/quantity.ts';

/** The settings of this process; the only file that reads process.env. Flag > COFFERDAM_* > default. */
export interface Config {
  /** State: images, locks, disks. */
  readonly dataDir: string;
  /** Colour on stderr/stdout is left to util.styleText, which honours NO_COLOR and FORCE_COLOR. */
  readonly logLevel: string;
  /** Where the API listens. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Undefined: the embedded Redis, which `cofferdam up` starts. May hold a password: never shown. */
  readonly redisUrl: string | undefined;
  /** The key of secrets; see src/vault/key-file.ts. */
  readonly secretKeyFile: string;
  /** Where users and forges reach the API, without a slash at the end; undefined: where it listens. */
  readonly publicUrl: string | undefined;
  /** Certificates (PEM) of who may sign the one of a rediss:// server; undefined: those that Node trusts. */
  readonly redisCaFile: string | undefined;
  /** The word in the braces that all keys begin with. */
  readonly redisPrefix: string;
  /** `file:PATH` or `s3://…`. */
  readonly store: string;
  /** Bytes of a working tree's tar. */
  readonly uploadMaxBytes: number;
  /** Requests a minute that one token may make of one API process. */
  readonly rateLimit: number;
  /** Bytes of caches that this machine keeps. */
  readonly cacheMaxBytes: number;
  readonly keep: KeepConfig;
  /** Builds of one project that may run side by side; undefined: as many as there are slots. */
  readonly projectConcurrency: number | undefined;
  readonly worker: WorkerConfig;
  /** What builds with a network may reach although it is private; the same for all workers of a machine. */
  readonly egressExceptions: readonly EgressException[];
}

/** How long things are kept, in milliseconds; undefined: for ever. */
interface KeepConfig {
  readonly buildsMs: number | undefined;
  readonly uploadsMs: number;
}

/** What a worker offers; undefined: what the machine has. */
interface WorkerConfig {
  readonly labels: Readonly<Record<string, string>>;
  readonly cpus: number | undefined;
  readonly memoryBytes: number | undefined;
}

/** Where a command finds the API and how it gets in; undefined: it has not been told. */
export interface Access {
  readonly url: string | undefined;
  readonly token: string | undefined;
}

/** A setting that cannot be used; the message names it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** Parses the environment; what is set to nothing counts as not set. Throws ConfigError. */
export function loadConfig(env: NodeJS.ProcessEnv = process.env, uid = process.getuid?.() ?? 0): Config {
  const setting = settings(env);
  const dataDir = resolve(env['COFFERDAM_DATA'] || defaultDataDir(env, uid));
  return Object.freeze({
    dataDir,
    logLevel: setting('COFFERDAM_LOG_LEVEL', `one of ${levels.join(', ')}`, parseLevel) ?? 'warn',
    listen: setting('COFFERDAM_LISTEN', 'HOST:PORT, such as 127.0.0.1:8080', parseListen) ?? {
      host: '127.0.0.1',
      port: 8080,
    },
    redisUrl: env['COFFERDAM_REDIS_URL'] || undefined,
    secretKeyFile: resolve(env['COFFERDAM_SECRET_KEY_FILE'] || join(dataDir, 'secret.key')),
    publicUrl: setting('COFFERDAM_PUBLIC_URL', 'a URL such as https://ci.example.org', parsePublicUrl),
    redisCaFile: env['COFFERDAM_REDIS_CA'] || undefined,
    redisPrefix:
      setting('COFFERDAM_REDIS_PREFIX', 'a word of letters, digits, - and _', parseWord) ?? 'cofferdam',
    store:
      setting('COFFERDAM_STORE', 'file:PATH or s3://BUCKET/PREFIX', parseStore) ??
      `file:${join(dataDir, 'archive')}`,
    uploadMaxBytes: setting('COFFERDAM_UPLOAD_MAX', 'a size such as 2GiB', parseBytes) ?? 2 * 1024 ** 3,
    cacheMaxBytes: setting('COFFERDAM_CACHE_MAX', 'a size such as 20GiB', parseBytes) ?? 20 * 1024 ** 3,
    rateLimit: setting('COFFERDAM_RATE_LIMIT', 'a number of requests a minute', parseCount) ?? 12_000,
    projectConcurrency: setting('COFFERDAM_PROJECT_CONCURRENCY', 'a number of builds', parseCount),
    keep: Object.freeze({
      buildsMs: setting('COFFERDAM_KEEP_BUILDS', 'a time such as 90d or 12h', parseAge),
      uploadsMs: setting('COFFERDAM_KEEP_UPLOADS', 'a time such as 30d or 12h', parseAge) ?? 30 * dayMs,
    }),
    egressExceptions: setting('COFFERDAM_EGRESS_ALLOW', egressExceptionsForm, parseEgressExceptions) ?? [],
    worker: Object.freeze({
      labels: setting('COFFERDAM_WORKER_LABELS', 'NAME=VALUE,NAME=VALUE', parseLabels) ?? {},
      cpus: setting('COFFERDAM_WORKER_CPUS', 'a number such as 4 or 1.5', parseCpus),
      memoryBytes: setting('COFFERDAM_WORKER_MEMORY', 'a size such as 8GiB', parseBytes),
    }),
  });
}

/**
 * Where the API is: COFFERDAM_URL and COFFERDAM_TOKEN, else what `cofferdam up` left in the data directory. Apart from
 * the rest, because only commands that talk to the API read these files.
 */
export function loadAccess(
  { dataDir }: Pick<Config, 'dataDir'>,
  env: NodeJS.ProcessEnv = process.env,
): Access {
  return {
    url: env['COFFERDAM_URL'] || readOptional(join(dataDir, 'run', 'url')),
    token: env['COFFERDAM_TOKEN'] || readOptional(join(dataDir, 'token')),
  };
}

/** `parse` gives undefined for what has not the form. */
function settings(env: NodeJS.ProcessEnv) {
  return <Value>(
    name: string,
    form: string,
    parse: (text: string) => Value | undefined,
  ): Value | undefined => {
    const text = env[name] || undefined;
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) throw new ConfigError(`${name} is '${text}'; use ${form}`);
    return value;
  };
}

function defaultDataDir(env: NodeJS.ProcessEnv, uid: number): string {
  if (uid === 0) return '/var/lib/cofferdam';
  // The XDG Base Directory Specification has relative paths ignored.
  const state = env['XDG_STATE_HOME'] ?? '';
  return join(isAbsolute(state) ? state : join(homedir(), '.local', 'state'), 'cofferdam');
}

const parseLevel = (text: string) => (levels.includes(text) ? text : undefined);
const parseWord = (text: string) => (/^[A-Za-z0-9_-]{1,50}$/.test(text) ? text : undefined);
const parseStore = (text: string) => (/^(file:.|s3:\/\/[^/])/.test(text) ? text : undefined);
const parseCount = (text: string) => (/^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined);
const parseCpus = (text: string) =>
  /^\d{1,4}(\.\d+)?$/.test(text) && Number(text) > 0 ? Number(text) : undefined;

function parseBytes(text: string): number | undefined {
  return /^[1-9]\d*(\.\d+)?(B|[kKMGT]B|[KMGT]iB)?$/.test(text) ? bytesOf(text) : undefined;
}

const dayMs = 24 * 3_600_000;

function parseAge(text: string): number | undefined {
  const [, count, unit] = /^([1-9]\d{0,4})([dh])$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * (unit === 'd' ? dayMs : 3_600_000);
}

function parsePublicUrl(text: string): string | undefined {
  const url = URL.parse(text);
  const fits = url && /^https?:$/.test(url.protocol) && url.username + url.search + url.hash === '';
  return fits ? url.href.replace(/\/+$/, '') : undefined;
}

function parseListen(text: string): Config['listen'] | undefined {
  const [, ipv6, name, port] = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = ipv6 ?? name;
  return host !== undefined && Number(port) < 65_536 ? { host, port: Number(port) } : undefined;
}

function parseLabels(text: string): Record<string, string> | undefined {
  const pairs = text.split(',').map((each) => /^([\w./-]+)=([\w./-]+)$/.exec(each.trim()));
  if (pairs.includes(null)) return undefined;
  return Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? '', pair?.[2] ?? '']));
}

/** What somebody who starts a build on this machine put there for it. */
export function environmentVariable(name: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  return env[name];
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if ('code' in error && error.code === 'ENOENT') return undefined;
    throw new ConfigError(`cannot read ${path}: ${error.message}`, { cause: error });
  }
}
