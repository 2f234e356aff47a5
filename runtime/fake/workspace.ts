import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Workspace } from '../sandbox.ts';

/** Files by their path below the workspace. */
export type Files = ReadonlyMap<string, Buffer>;

/** The regular files of the source that containers see. */
export function seed({ source, hidden }: Workspace): Files {
  const files = new Map<string, Buffer>();
  if (source === undefined) return files;
  for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    const path = relative(source, file);
    const unseen = hidden.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
    if (entry.isFile() && !unseen) files.set(path, readFileSync(file));
  }
  return files;
}
