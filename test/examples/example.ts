import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandError, run } from '../../runtime/command.ts';
import { testData } from '../rootfs.ts';

const checkout = join(import.meta.dirname, '../..');

/** Where the examples are. */
export const examples = join(checkout, 'examples');

/**
 * The output of a command of ours that passed; throws what it wrote to stderr when it did not. The images that it
 * makes stay for later test runs.
 */
export async function cofferdam(...args: readonly string[]): Promise<string> {
  const env = { ...process.env, COFFERDAM_DATA: join(testData, 'data') };
  try {
    const { stdout } = await run({ file: join(checkout, 'bin/cofferdam'), args, env });
    return stdout.toString();
  } catch (error) {
    throw error instanceof CommandError ? new Error(error.stderr, { cause: error }) : error;
  }
}

/** A directory that is gone when disposed. */
export async function scratch(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'cofferdam-example-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** Copies an example into a git work tree with this project's ignore rules, as it has in a clone. */
export async function copyExample(name: string, parent: string): Promise<string> {
  await run({ file: 'git', args: ['init', '--quiet', parent] });
  await cp(join(checkout, '.gitignore'), join(parent, '.gitignore'));
  const copy = join(parent, name);
  await cp(join(examples, name), copy, { recursive: true });
  return copy;
}
