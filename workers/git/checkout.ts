import { constants, copyFileSync, linkSync, mkdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, run } from '../../runtime/command.ts';
import { layerLimits } from '../../runtime/images/layer-limits.ts';
import { SourceError } from '../source.ts';
import type { Difference } from './difference.ts';
import { gitCommand } from './environment.ts';
import type { OpenMirror } from './mirror.ts';
import { MirrorDamaged } from './mirror-damaged.ts';
import { checkPath, type GitPath, readTree } from './tree.ts';

/** A directory in which `tree` is made, and beside it `index`, which git in the sandbox finds its files by. */
export interface CheckoutPlace {
  readonly repository: string;
  readonly directory: string;
}

/** What a checkout is reduced to: these files, and what is below these directories; empty: everything. */
export type SparsePaths = readonly string[];

export interface CheckedOut {
  readonly bytes: number;
  readonly files: number;
}

/**
 * Checks out a whole tree. The directory is a fresh one of ours, so that nothing in it leads elsewhere; no filter is
 * configured, so none runs. Files have the time of now, as after any clone: what a build made earlier is older. Throws
 * SourceError and MirrorDamaged.
 */
export async function checkOutTree(
  place: CheckoutPlace,
  tree: string,
  sparse: SparsePaths,
): Promise<CheckedOut> {
  return await reading(async () => {
    const { bytes, paths } = await readTree(place.repository, tree, layerLimits);
    makeTree(place);
    await moveTo(place, tree, paths, sparse);
    settleIndex(place);
    return { bytes, files: paths.length };
  });
}

/** Checks out what differs from a tree whose index is `below`, with whiteouts for what is gone. Throws as checkOutTree. */
export async function checkOutDifference(
  place: CheckoutPlace & Pick<OpenMirror, 'objects'>,
  tree: string,
  { written, hidden }: Difference,
  below: { readonly index: string; readonly bytes: number },
  sparse: SparsePaths,
): Promise<number> {
  return await reading(async () => {
    const seen = seenIn(sparse);
    for (const { path } of written) checkPath(path, layerLimits);
    const bytes = await sizeOf(place, written);
    if (below.bytes + bytes > layerLimits.bytes) {
      throw new SourceError(`the tree has more than ${layerLimits.bytes} bytes`);
    }
    makeTree(place);
    copyFileSync(below.index, indexOf(place), constants.COPYFILE_FICLONE);
    await moveTo(
      place,
      tree,
      written.map(({ path }) => path),
      sparse,
    );
    await whiteOut(
      place,
      hidden.filter((path) => seen(path) || sparse.some((p) => p.startsWith(`${path}/`))),
    );
    settleIndex(place);
    return bytes;
  });
}

const treeOf = ({ directory }: CheckoutPlace) => join(directory, 'tree');
const indexOf = ({ directory }: CheckoutPlace) => join(directory, 'index');

function makeTree(place: CheckoutPlace): void {
  mkdirSync(treeOf(place), { mode: 0o755 });
}

/** Whether a path is among what is checked out. */
export function seenIn(sparse: SparsePaths): (path: GitPath) => boolean {
  const wanted = sparse.map((path) => Buffer.from(path).toString('latin1'));
  return (path) =>
    wanted.length === 0 || wanted.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
}

/**
 * Makes the index that of a tree and checks out what it did not have before, which is all but an empty work tree: what an
 * index has is taken to be below.
 */
async function moveTo(
  place: CheckoutPlace,
  tree: string,
  changed: readonly GitPath[],
  sparse: SparsePaths,
): Promise<void> {
  if (sparse.length === 0) return await inPlace(place, ['read-tree', '-m', '-u', tree]);
  const seen = seenIn(sparse);
  const wanted = changed.filter(seen);
  const others = changed.filter((path) => !seen(path));
  await inPlace(place, ['read-tree', '-m', '-i', tree]);
  if (wanted.length > 0) await inPlace(place, ['checkout-index', '--index', '-z', '--stdin'], wanted);
  // Git in the sandbox must not take files that are not there for deleted ones.
  if (others.length > 0) await inPlace(place, ['update-index', '--skip-worktree', '-z', '--stdin'], others);
}

/** overlayfs takes a character device 0/0 for "not here"; all are one, by hard links. */
async function whiteOut(place: CheckoutPlace, paths: readonly GitPath[]): Promise<void> {
  if (paths.length === 0) return;
  const master = join(place.directory, 'whiteout');
  await run({ file: 'mknod', args: [master, 'c', '0', '0'] });
  const tree = Buffer.from(`${treeOf(place)}/`);
  for (const path of paths) {
    const slash = path.lastIndexOf('/');
    if (slash > 0) {
      mkdirSync(Buffer.concat([tree, Buffer.from(path.slice(0, slash), 'latin1')]), { recursive: true });
    }
    linkSync(master, Buffer.concat([tree, Buffer.from(path, 'latin1')]));
  }
}

/** A file as young as the index counts as changed until it was read again (gitformat-index(5), "racy git"). */
function settleIndex(place: CheckoutPlace): void {
  const later = Math.ceil(Date.now() / 1000) + 1;
  utimesSync(indexOf(place), later, later);
}

async function sizeOf(
  { objects }: Pick<OpenMirror, 'objects'>,
  written: Difference['written'],
): Promise<number> {
  const found = await Promise.all(written.map(({ object }) => objects.info(object)));
  // Of a submodule only its commit is named, which is elsewhere.
  return found.reduce((sum, info) => sum + (info?.size ?? 0), 0);
}

/** Runs git with an index and a work tree of ours; nothing of a build's is ever one. */
async function inPlace(
  place: CheckoutPlace,
  args: readonly string[],
  paths: readonly GitPath[] = [],
): Promise<void> {
  const env = { GIT_INDEX_FILE: indexOf(place), GIT_WORK_TREE: treeOf(place) };
  const input = Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1');
  await run(gitCommand(place.repository, args, env), { ...(paths.length > 0 && { input }) });
}

/** What git refuses to check out is the repository's fault; all else that it cannot read is the mirror's. */
async function reading<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const cause = { cause: error };
    if (/No space left on device|Disk quota exceeded/.test(error.stderr)) {
      throw new SourceError(`this worker has no room for the source: ${error.message}`, {
        ...cause,
        trouble: 'unavailable',
      });
    }
    const invalid = /invalid path .*/.exec(error.stderr)?.[0];
    if (invalid !== undefined) throw new SourceError(`git refuses the tree: ${invalid}`, cause);
    throw new MirrorDamaged(`the mirror cannot be read: ${error.message}`, cause);
  }
}
