import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** This checkout. */
export const checkout = join(import.meta.dirname, '../..');

/** A clone of its own, gone when disposed. */
export interface Clone extends Disposable {
  /** Has spaces. */
  readonly root: string;
  /** A directory beside it, for what a test needs. */
  readonly aside: string;
}

/**
 * Copies what set-up reads. `fresh`: nothing is set up yet; `packages`: Node and the packages from npm are there,
 * as links to this checkout's.
 */
export function makeClone(state: 'fresh' | 'packages'): Clone {
  const aside = mkdtempSync(join(tmpdir(), 'cofferdam setup '));
  chmodSync(aside, 0o755);
  const root = join(aside, 'the clone');
  mkdirSync(root);
  for (const name of ['bin', 'src', 'runtime', 'workers', 'package.json', 'package-lock.json']) {
    cpSync(join(checkout, name), join(root, name), { recursive: true, preserveTimestamps: true });
  }
  if (state === 'packages') {
    mkdirSync(join(root, '.cofferdam-tools/node/bin'), { recursive: true });
    linkOrCopy(
      join(checkout, '.cofferdam-tools/node/bin/node'),
      join(root, '.cofferdam-tools/node/bin/node'),
    );
    mkdirSync(join(root, 'node_modules'));
    for (const name of readdirSync(join(checkout, 'node_modules'))) {
      symlinkSync(join(checkout, 'node_modules', name), join(root, 'node_modules', name));
    }
    rmSync(join(root, 'node_modules/.cofferdam-lock'));
    copyFileSync(join(root, 'package-lock.json'), join(root, 'node_modules/.cofferdam-lock'));
  }
  return { root, aside, [Symbol.dispose]: () => rmSync(aside, { recursive: true }) };
}

/** The program has 120 MB. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

/** A PATH directory that links to this machine's tools, less some: a machine that lacks them. */
export function toolsWithout(parent: string, lacking: readonly string[]): string {
  const path = join(parent, 'tools');
  mkdirSync(path);
  const sources = new Map<string, string>();
  for (const directory of ['/usr/bin', '/usr/local/bin']) {
    for (const name of readdirSync(directory)) sources.set(name, join(directory, name));
  }
  for (const [name, source] of sources) if (!lacking.includes(name)) symlinkSync(source, join(path, name));
  return path;
}

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program with this environment and no other. */
export function execute(
  [file, ...args]: readonly [string, ...string[]],
  { env = {}, cwd = '/' }: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Outcome {
  return spawnSync(file, args, { env, cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
