import { componentsOf } from './layer-tree.ts';
import { layerLimits } from './layer-limits.ts';
import { ByteReader } from './tar/bytes.ts';
import { encodeEntry, endOfArchive, type WritableEntry } from './tar/encode.ts';
import { padding, readEntry, skipPadding } from './tar/entry.ts';

/**
 * The counterpart of filterLayer(): takes a tar of a layer's directory, in overlayfs form, and yields the layer as image
 * archives have it, with OCI whiteouts (image spec, layer.md). A character device can only be a whiteout: the store
 * keeps no other.
 */
export async function* packLayer(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source);
  for (let entry = await readEntry(reader); entry; entry = await readEntry(reader)) {
    const components = componentsOf(entry.path, layerLimits.pathBytes);
    const path = components.join('/') || '.';
    const target = entry.kind === 'hardlink' ? entry.target.replace(/^\.\//, '') : entry.target;
    const xattrs = new Map([...entry.xattrs].filter(([key]) => !key.startsWith('trusted.')));
    if (entry.kind === 'device') {
      yield encodeEntry(mark([...components.slice(0, -1), `.wh.${components.at(-1)}`]));
    } else {
      yield encodeEntry({ ...entry, kind: entry.kind, path, target, xattrs });
      if (entry.xattrs.get('trusted.overlay.opaque') === 'y')
        yield encodeEntry(mark([...components, '.wh..wh..opq']));
    }
    if (entry.size > 0) yield* reader.pass(entry.size);
    if (padding(entry.size) > 0) yield Buffer.alloc(padding(entry.size));
    await skipPadding(reader, entry.size);
  }
  yield endOfArchive;
}

function mark(components: readonly string[]): WritableEntry {
  const path = components.join('/');
  return {
    kind: 'file',
    path,
    target: '',
    mode: 0o600,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0,
    xattrs: new Map(),
  };
}
