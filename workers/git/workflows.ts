import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { maxFileBytes } from '../../src/workflow/workflow-text.ts';
import type { Objects, TreeEntry } from './objects.ts';

const directories: readonly string[] = ['.cofferdam', '.woodpecker'];
const isFileOf = (name: string) => /^\.(cofferdam|woodpecker)\.ya?ml$/.test(name);
const isFileIn = (name: string) => /^[^./][^/]*\.ya?ml$/.test(name);

/** No repository has more; what is beyond is not looked at. */
const most = 100;

/**
 * Takes a commit's workflow files out of the mirror into a new directory, where they are found as in the tree itself. A
 * symlink leads nowhere and stays a symlink, to be refused by whoever reads; what is longer than a workflow may be is
 * replaced by what is still too long. Throws MirrorDamaged.
 */
export async function extractWorkflows(objects: Objects, commit: string, directory: string): Promise<void> {
  mkdirSync(directory);
  const root = (await objects.entries(`${commit}^{tree}`)) ?? [];
  await writeEntries(
    objects,
    root.filter(({ name }) => isFileOf(name)),
    directory,
  );
  for (const entry of root.filter(({ name }) => directories.includes(name))) {
    const below = entry.mode === '40000' ? await objects.entries(entry.id) : undefined;
    if (!below) {
      await writeEntries(objects, [entry], directory);
      continue;
    }
    mkdirSync(join(directory, entry.name));
    const files = below.filter(({ name }) => isFileIn(name)).slice(0, most);
    await writeEntries(objects, files, join(directory, entry.name));
  }
}

async function writeEntries(
  objects: Objects,
  entries: readonly TreeEntry[],
  directory: string,
): Promise<void> {
  for (const { mode, id, name } of entries) {
    const file = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, 'latin1')]);
    if (mode === '120000') symlinkSync('/nonexistent', file);
    if (!mode.startsWith('100')) continue;
    const size = (await objects.info(id))?.size ?? 0;
    const content = size > maxFileBytes ? Buffer.alloc(maxFileBytes + 1, ' ') : await objects.blob(id);
    writeFileSync(file, content ?? '');
  }
}
