import { ImageError } from './image.ts';
import { type DirectoryNode, impliedDirectory, join } from './layer-tree.ts';
import type { WritableEntry } from './tar/encode.ts';

/** Turns the whiteouts of one layer from their OCI form into the overlayfs form. */
export interface Whiteouts {
  /** Takes an entry that is a whiteout; false when it is an ordinary one. Throws ImageError. */
  take(directory: DirectoryNode, name: string | undefined): boolean;
  /** What to append to the layer, once all its entries are known. */
  entries(): Iterable<WritableEntry>;
  isOpaque(directory: DirectoryNode): boolean;
}

const prefix = '.wh.';
/** Names beginning so are AUFS's own; one of them has a meaning. */
const reserved = '.wh..wh.';
const opaqueMark = '.wh..wh..opq';

/**
 * OCI image spec, layer.md: `.wh.NAME` deletes NAME of the layers below, `.wh..wh..opq` everything of them in its
 * directory; neither touches the layer's own entries, which may come before or after. For overlayfs these are a
 * character device 0:0 called NAME, and the attribute trusted.overlay.opaque on the directory; a NAME that the
 * layer has itself needs no device, but as a directory it must not show what was deleted below.
 */
export function whiteouts(): Whiteouts {
  const deleted = new Map<DirectoryNode, Set<string>>();
  const opaque = new Set<DirectoryNode>();

  function* entries(): Iterable<WritableEntry> {
    for (const [directory, names] of deleted) {
      for (const name of names) {
        const own = directory.children.get(name);
        if (own?.kind === 'directory') opaque.add(own);
        else if (own === undefined || own.kind === 'dropped') yield whiteout(join(directory, name));
      }
    }
    // Directories once more: for the attribute, and because the devices have changed their times.
    for (const directory of new Set([...deleted.keys(), ...opaque])) {
      const xattrs = new Map(directory.entry.xattrs);
      if (opaque.has(directory)) xattrs.set('trusted.overlay.opaque', 'y');
      yield { ...directory.entry, xattrs };
    }
  }

  return {
    take(directory, name) {
      if (!name?.startsWith(prefix)) return false;
      if (name === opaqueMark) {
        opaque.add(directory);
      } else if (!name.startsWith(reserved)) {
        const target = name.slice(prefix.length);
        if (target === '' || target === '.' || target === '..') {
          throw new ImageError(`'${join(directory, name)}' is a whiteout of nothing`);
        }
        const names = deleted.get(directory) ?? new Set();
        deleted.set(directory, names.add(target));
      }
      return true;
    },
    entries,
    isOpaque: (directory) => opaque.has(directory),
  };
}

function whiteout(path: string): WritableEntry {
  return { ...impliedDirectory(path).entry, kind: 'whiteout', mode: 0 };
}
