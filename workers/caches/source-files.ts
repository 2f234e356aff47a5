import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { baseOf, compileGlob } from '../../src/workflow/glob.ts';

/** The layers of a workspace, as runtime/sandbox.ts has them. */
export interface SourceLayers {
  /** Read-only, bottom first, in overlayfs form. */
  readonly directories: readonly string[];
  /** Paths below that builds do not see. */
  readonly hidden: readonly string[];
}

/** A file of the merged source that can be read. */
export interface SourceFile {
  readonly path: string;
  /** Throws what open(2) and read(2) do. */
  readonly read: () => AsyncIterable<Buffer>;
}

/** What is at a path: of a directory, all layers that show a part of it, the topmost first. */
type Found =
  | { readonly kind: 'directory'; readonly below: string[]; closed: boolean }
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'other' };

/**
 * Regular files of a source that match any of the globs, in path order. The source may be a stranger's: no link in it is
 * followed, neither on the way nor at the end.
 */
export async function sourceFiles(source: SourceLayers, globs: readonly string[]): Promise<SourceFile[]> {
  const files = new Map<string, string>();
  const root: Found = { kind: 'directory', below: source.directories.toReversed(), closed: false };
  for (const glob of globs) {
    const matches = compileGlob(glob, 'any');
    const base = baseOf(glob);
    const found = await goDown(root, base, source);
    for await (const [path, file] of walk(found, base, source)) if (matches(path)) files.set(path, file);
  }
  return [...files]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, file]) => ({ path, read: () => contents(file) }));
}

async function goDown(root: Found, path: string, source: SourceLayers): Promise<Found> {
  let found = root;
  let at = '';
  for (const name of path.split('/').filter((part) => part !== '' && part !== '.')) {
    at = at === '' ? name : `${at}/${name}`;
    if (found.kind !== 'directory' || name === '..' || isHidden(at, source)) return { kind: 'other' };
    let next: Found | undefined;
    for (const directory of found.below) {
      const stats = await lstat(join(directory, name)).catch(() => undefined);
      if (stats) next = merge(next, stats, join(directory, name));
    }
    if (!next) return { kind: 'other' };
    found = next;
  }
  return found;
}

async function* walk(found: Found, path: string, source: SourceLayers): AsyncGenerator<[string, string]> {
  if (found.kind === 'file') yield [path, found.file];
  if (found.kind !== 'directory') return;
  const children = new Map<string, Found>();
  for (const directory of found.below) {
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      children.set(entry.name, merge(children.get(entry.name), entry, join(directory, entry.name)));
    }
  }
  for (const [name, child] of children) {
    const at = path === '' ? name : `${path}/${name}`;
    if (name !== '.git' && !isHidden(at, source)) yield* walk(child, at, source);
  }
}

/** What a lower layer adds: nothing, where something above is no directory (a whiteout is none either). */
function merge(
  above: Found | undefined,
  entry: { isDirectory(): boolean; isFile(): boolean },
  file: string,
): Found {
  if (above === undefined) {
    if (entry.isDirectory()) return { kind: 'directory', below: [file], closed: false };
    return entry.isFile() ? { kind: 'file', file } : { kind: 'other' };
  }
  if (above.kind === 'directory' && !above.closed) {
    if (entry.isDirectory()) above.below.push(file);
    else above.closed = true;
  }
  return above;
}

function isHidden(path: string, { hidden }: SourceLayers): boolean {
  return hidden.some((each) => path === each || path.startsWith(`${each}/`));
}

async function* contents(file: string): AsyncGenerator<Buffer> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle: FileHandle = await open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    yield* handle.createReadStream({ autoClose: false, highWaterMark: 1024 ** 2 });
  } finally {
    await handle.close();
  }
}
