import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The settings of this process; the only file that reads process.env. Flag > COFFERDAM_* > default. */
export interface Config {
  /** State: images, locks, disks. */
  readonly dataDir: string;
  /** Colour on stderr/stdout is left to util.styleText, which honours NO_COLOR and FORCE_COLOR. */
  readonly logLevel: string;
}

/** A setting that cannot be used; the message names it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** Parses the environment. Throws ConfigError. */
export function loadConfig(env: NodeJS.ProcessEnv = process.env, uid = process.getuid?.() ?? 0): Config {
  const logLevel = env['COFFERDAM_LOG_LEVEL'] ?? 'warn';
  if (!levels.includes(logLevel)) {
    throw new ConfigError(`COFFERDAM_LOG_LEVEL is '${logLevel}'; use one of ${levels.join(', ')}`);
  }
  return Object.freeze({ dataDir: resolve(env['COFFERDAM_DATA'] ?? defaultDataDir(env, uid)), logLevel });
}

function defaultDataDir(env: NodeJS.ProcessEnv, uid: number): string {
  if (uid === 0) return '/var/lib/cofferdam';
  return join(env['XDG_STATE_HOME'] ?? join(homedir(), '.local', 'state'), 'cofferdam');
}
