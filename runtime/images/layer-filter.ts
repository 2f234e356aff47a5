import { ImageError } from './image.ts';
import { type LayerLimits, maxId } from './layer-limits.ts';
import { componentsOf, type DirectoryNode, descend, find, impliedDirectory, join } from './layer-tree.ts';
import type { LayerNode } from './layer-tree.ts';
import { ByteReader } from './tar/bytes.ts';
import { encodeEntry, endOfArchive, type WritableEntry } from './tar/encode.ts';
import { padding, readEntry, skipPadding, type TarEntry } from './tar/entry.ts';
import { whiteouts } from './whiteouts.ts';

/** What a layer turned out to hold. */
export interface LayerTally {
  /** Sum of file sizes. */
  bytes: number;
  entries: number;
  /** The layer hides everything below it: overlayfs does not honour that mark on a root, so the image must. */
  opaqueRoot: boolean;
}

/**
 * `layer`: of an image, with its whiteouts, owners and attributes. `tree`: of a working tree, where everything belongs to
 * root, nothing has attributes or set-id bits, and a name is only a name. `snapshot`: of a volume, whose owners stay, and
 * where a name is only a name too.
 */
export type Dialect = 'layer' | 'tree' | 'snapshot';

/**
 * The policy on what a stranger's layer may put on this machine. Takes an uncompressed layer tar and yields a new
 * one for the extractor, in overlayfs form, holding only what was understood and allowed:
 * - names are normalised; `..`, entries below a non-directory, and hard links to anything but a file that this
 *   layer listed before are refused;
 * - owners that a user namespace of 65,536 ids cannot map, and anything beyond the limits, are refused;
 * - devices are dropped (sockets do not occur in tars); FIFOs stay;
 * - of extended attributes, `security.capability` and `user.*` stay;
 * - whiteouts take overlayfs form (whiteouts.ts).
 * `tally` is filled in on the way. Throws ImageError; the output so far is then to be thrown away.
 */
export async function* filterLayer(
  source: AsyncIterable<Buffer>,
  limits: LayerLimits,
  tally: LayerTally,
  dialect: Dialect = 'layer',
): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source);
  const root = impliedDirectory('.');
  const hidden = whiteouts();
  for (let listed = await readEntry(reader); listed; listed = await readEntry(reader)) {
    const entry = dialect === 'tree' ? asTree(listed) : listed;
    admit(entry, limits, tally);
    const components = componentsOf(entry.path, limits.pathBytes);
    const name = components.pop();
    const parents = descend(root, components);
    let step = parents.next();
    for (; !step.done; step = parents.next()) yield encodeEntry(step.value.entry);
    const isWhiteout = dialect === 'layer' && hidden.take(step.value, name);
    const written = isWhiteout ? undefined : place(root, step.value, name, entry, limits);
    if (written === undefined) {
      await reader.skip(entry.size);
    } else {
      yield encodeEntry(written);
      if (entry.size > 0) yield* reader.pass(entry.size);
      if (padding(entry.size) > 0) yield Buffer.alloc(padding(entry.size));
    }
    await skipPadding(reader, entry.size);
  }
  for (const entry of hidden.entries()) yield encodeEntry(entry);
  tally.opaqueRoot = hidden.isOpaque(root);
  yield endOfArchive;
  // What follows the end of an archive means nothing, but it is part of the layer's digest.
  for await (const _ of reader.remainder());
}

function asTree(entry: TarEntry): TarEntry {
  return { ...entry, uid: 0, gid: 0, mode: entry.mode & 0o777, xattrs: new Map() };
}

function admit(entry: TarEntry, limits: LayerLimits, tally: LayerTally): void {
  for (const id of [entry.uid, entry.gid]) {
    if (!(Number.isInteger(id) && id >= 0 && id <= maxId)) {
      throw new ImageError(
        `'${entry.path}' belongs to id ${id}; only 0 to ${maxId} can be mapped into a sandbox`,
      );
    }
  }
  tally.bytes += entry.size;
  tally.entries++;
  if (tally.bytes > limits.bytes) {
    throw new ImageError(`it unpacks to more than ${limits.bytes} bytes, the limit for one layer`);
  }
  if (tally.entries > limits.entries) {
    throw new ImageError(`it has more than ${limits.entries} entries, the limit for one layer`);
  }
}

/** Enters an entry into the tree; returns what to write for it, undefined when it is dropped. */
function place(
  root: DirectoryNode,
  parent: DirectoryNode,
  name: string | undefined,
  entry: TarEntry,
  limits: LayerLimits,
): WritableEntry | undefined {
  const before = name === undefined ? root : parent.children.get(name);
  const wasDirectory = before?.kind === 'directory';
  if (before && before.kind !== 'dropped' && wasDirectory !== (entry.kind === 'directory')) {
    throw new ImageError(`'${entry.path}' is listed twice, as a directory and as something else`);
  }
  const path = name === undefined ? '.' : join(parent, name);
  const kept = { ...entry, path, xattrs: allowedXattrs(entry.xattrs) };
  const enter = (node: LayerNode, written?: WritableEntry) => {
    if (name !== undefined) parent.children.set(name, node);
    return written;
  };
  if (entry.kind === 'device') return enter({ kind: 'dropped' });
  if (entry.kind === 'directory') {
    const node = wasDirectory ? before : impliedDirectory(path);
    node.entry = { ...kept, kind: entry.kind };
    return enter(node, node.entry);
  }
  if (entry.kind === 'hardlink') {
    const target = componentsOf(entry.target, limits.pathBytes);
    const linked = find(root, target);
    if (linked === undefined || linked.kind === 'directory') {
      throw new ImageError(
        `'${entry.path}' is a hard link to '${entry.target}', no file this layer has so far`,
      );
    }
    if (linked.kind === 'dropped') return enter(linked);
    return enter(linked, { ...kept, kind: entry.kind, target: target.join('/') });
  }
  if (entry.kind === 'symlink' && (entry.target === '' || entry.target.length > 4095)) {
    throw new ImageError(`'${entry.path}' is a symlink with an impossible target`);
  }
  return enter({ kind: entry.kind === 'symlink' ? 'symlink' : 'other' }, { ...kept, kind: entry.kind });
}

/**
 * `trusted.overlay.*` would steer the overlay itself, and other `security.*` a security module. A file capability
 * of revision 3 names a user namespace: only revision 2 (20 bytes, linux/capability.h) comes out of an image.
 */
function allowedXattrs(xattrs: ReadonlyMap<string, string>): Map<string, string> {
  const allowed = new Map<string, string>();
  for (const [key, value] of xattrs) {
    const capability = key === 'security.capability' && value.length === 20;
    const user = /^user\.(?!overlay\.)[\x21-\x7e]{1,250}$/.test(key);
    if (capability || user) allowed.set(key, value);
  }
  return allowed;
}
