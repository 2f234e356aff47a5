import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Workspace } from '../sandbox.ts';

/** Files by their path below the workspace. */
export type Files = ReadonlyMap<string, Buffer>;

/** The regular files of the sources that containers see. */
export function seed({ sources, hidden }: Workspace): Files {
  const files = new Map<string, Buffer>();
  for (const source of sources) {
    for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
      const file = join(entry.parentPath, entry.name);
      const path = relative(source, file);
      const unseen = hidden.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
      cover(files, path, entry.isDirectory() ? 'directory' : 'other');
      if (entry.isFile() && !unseen) files.set(path, readFileSync(file));
    }
  }
  return files;
}

/** What is no directory, whiteouts too, covers all that was there before; a directory covers what was none. */
function cover(files: Map<string, Buffer>, path: string, kind: 'directory' | 'other'): void {
  files.delete(path);
  if (kind === 'directory') return;
  for (const known of [...files.keys()].filter((key) => key.startsWith(`${path}/`))) files.delete(known);
}
