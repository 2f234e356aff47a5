import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../usage.ts';

const cannotRead = (path: string) => (error: NodeJS.ErrnoException) => {
  throw new UsageError(`cannot read ${path}: ${error.message}`, { cause: error });
};

/**
 * The workflow files of a directory: those of Cofferdam (`.cofferdam.yaml`, `.cofferdam.yml`, `.cofferdam/*.yaml`,
 * `.cofferdam/*.yml`) or, when it has none, those of Woodpecker (`.woodpecker.yaml`, …). Paths begin with `dir`;
 * in the order given here, then by name. Throws UsageError when there is none, or `dir` cannot be read.
 */
export async function listWorkflows(dir: string): Promise<string[]> {
  const directory = await stat(dir).catch(cannotRead(dir));
  if (!directory.isDirectory()) throw new UsageError(`${dir} is not a directory`);
  for (const base of ['.cofferdam', '.woodpecker']) {
    const names = [`${base}.yaml`, `${base}.yml`, ...(await yamlFiles(dir, base))];
    const files: string[] = [];
    for (const name of names) if (await isFile(join(dir, name))) files.push(join(dir, name));
    if (files.length > 0) return files;
  }
  throw new UsageError(
    `no workflow in ${dir}: looked for .cofferdam.yaml, .cofferdam/*.yaml, .woodpecker.yaml and ` +
      '.woodpecker/*.yaml (or .yml); write one, or choose a file by --workflow FILE',
  );
}

async function yamlFiles(dir: string, folder: string): Promise<string[]> {
  const path = join(dir, folder);
  const names = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    return error.code === 'ENOENT' || error.code === 'ENOTDIR' ? [] : cannotRead(path)(error);
  });
  // With a dot too, as Woodpecker takes them; `._x.yaml` is what macOS leaves beside x.yaml.
  const files = names.filter((name) => /^(?!\._).+\.ya?ml$/.test(name));
  return files.sort().map((name) => join(folder, name));
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ?? false;
}
