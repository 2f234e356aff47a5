import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from '../../runtime/command.ts';
import { testData } from '../rootfs.ts';

const sources = join(import.meta.dirname, 'programs');

/** The program with the probes, static; compiled when its source is new. Throws CommandError. */
export function probeProgram(): Promise<string> {
  return compiled('probe', globSync(join(sources, '*.[ch]')));
}

/**
 * A static program of these C files, kept by their content beside those of earlier runs. Several processes may want it at
 * once: each makes its own, and the last one stays. Throws CommandError.
 */
export async function compiled(name: string, files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files.toSorted()) hash.update(`${basename(file)}\0`).update(readFileSync(file));
  const program = join(testData, 'programs', `${name}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;
  mkdirSync(join(testData, 'programs'), { recursive: true });
  const fresh = `${program}.${process.pid}`;
  const flags = ['-static', '-O1', '-Wall', '-Wextra', '-Wno-missing-field-initializers'];
  await run({ file: 'cc', args: [...flags, '-o', fresh, ...files.filter((file) => file.endsWith('.c'))] });
  renameSync(fresh, program);
  return program;
}
