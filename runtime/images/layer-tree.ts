import { ImageError } from './image.ts';
import type { WritableEntry } from './tar/encode.ts';

/** What a layer has listed so far at one path. `dropped`: listed, but not unpacked. */
export type LayerNode =
  | { readonly kind: 'symlink' | 'other' | 'dropped' }
  | {
      readonly kind: 'directory';
      readonly path: string;
      readonly children: Map<string, LayerNode>;
      /** As last written to the extractor. */
      entry: WritableEntry;
    };

export type DirectoryNode = Extract<LayerNode, { kind: 'directory' }>;

/** A directory that the layer did not list itself: as every container engine makes those. */
export function impliedDirectory(path: string): DirectoryNode {
  const entry: WritableEntry = {
    kind: 'directory',
    path,
    target: '',
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0,
    xattrs: new Map(),
  };
  return { kind: 'directory', path, children: new Map(), entry };
}

/**
 * The components of a name in a layer, below the layer's root: `./`, leading, doubled and trailing slashes go; the
 * root itself is []. Throws ImageError for `..` and for what no file system takes.
 */
export function componentsOf(path: string, pathBytes: number): string[] {
  if (path.length > pathBytes) {
    throw new ImageError(`a path in it has ${path.length} bytes; ${pathBytes} are allowed`);
  }
  const components = path.split('/').filter((part) => part !== '' && part !== '.');
  if (components.includes('..')) throw new ImageError(`'${path}' leads out of the image`);
  if (components.some((part) => part.length > 255)) {
    throw new ImageError(`'${path}' has a part longer than 255 bytes`);
  }
  return components;
}

/**
 * Goes down to a directory, making what is missing; yields what was made. Throws ImageError when the way leads
 * over anything but a directory: a symlink could lead anywhere.
 */
export function* descend(
  root: DirectoryNode,
  components: readonly string[],
): Generator<DirectoryNode, DirectoryNode> {
  let directory = root;
  for (const component of components) {
    const path = join(directory, component);
    let next = directory.children.get(component);
    if (next === undefined) {
      const made = impliedDirectory(path);
      directory.children.set(component, made);
      yield made;
      next = made;
    }
    if (next.kind !== 'directory') {
      throw new ImageError(`it lists '${components.join('/')}' as a directory, but '${path}' is none`);
    }
    directory = next;
  }
  return directory;
}

/** What is listed at a path; undefined for nothing, and for what lies below anything but a directory. */
export function find(root: DirectoryNode, components: readonly string[]): LayerNode | undefined {
  let node: LayerNode | undefined = root;
  for (const component of components) {
    node = node?.kind === 'directory' ? node.children.get(component) : undefined;
  }
  return node;
}

/** Path of a name in a directory, relative to the layer's root, which is `.`. */
export function join(directory: DirectoryNode, name: string): string {
  return directory.path === '.' ? name : `${directory.path}/${name}`;
}
