import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from '../../runtime/command.ts';
import { maxFileBytes } from '../../src/workflow/parse.ts';
import { layerLimits } from '../../runtime/images/layer-limits.ts';
import { gitCommand } from './environment.ts';
import { checkPath } from './tree.ts';

const places = ['.cofferdam', '.woodpecker'].flatMap((base) => [base, `${base}.yaml`, `${base}.yml`]);

/** No repository has more; what is beyond is not looked at. */
const most = 1000;

/**
 * Takes a commit's workflow files out of the mirror into a directory, where they are found as in the tree itself, with
 * or without a checkout. A symlink leads nowhere and stays a symlink, to be refused by whoever reads. What is longer
 * than a workflow may be is cut so that it is still too long. Throws SourceError and CommandError.
 */
export async function extractWorkflows(repository: string, commit: string, directory: string): Promise<void> {
  mkdirSync(directory);
  const list = ['ls-tree', '-r', '-l', '-z', '--full-tree', commit, '--', ...places];
  const { stdout } = await run(gitCommand(repository, list));
  const files = stdout
    .toString()
    .split('\0')
    .slice(0, most)
    .flatMap((record) => {
      const [, mode = '', object = '', size = '', path = ''] =
        /^(\d+) blob ([\da-f]+) +(\d+)\t([^]+)$/.exec(record) ?? [];
      return object === '' ? [] : [{ mode, object, size: Number(size), path }];
    });
  for (const { mode, object, size, path } of files) {
    if (path.split('/').length > 2) continue;
    checkPath(path, layerLimits);
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    if (mode === '120000') {
      symlinkSync('/nonexistent', file);
      continue;
    }
    const content =
      size > maxFileBytes ? Buffer.alloc(maxFileBytes + 1, ' ') : await blob(repository, object);
    writeFileSync(file, content);
  }
}

async function blob(repository: string, object: string): Promise<Buffer> {
  const { stdout } = await run(gitCommand(repository, ['cat-file', 'blob', object]));
  return stdout;
}
