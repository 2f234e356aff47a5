import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Contain } from '../../../runtime/images/layer.ts';
import { type UnpackedLayer, unpackLayer } from '../../../runtime/images/layer.ts';
import type { LayerLimits } from '../../../runtime/images/layer-limits.ts';
import type { StoreOptions } from '../../../runtime/images/store.ts';

/** No containment: the tests show that nothing gets as far as needing it. */
const uncontained: Contain = (cwd, command) => ({ ...command, cwd });

/** Of a store that adds no packages. */
export const storeOptions: StoreOptions = {
  contain: uncontained,
  sandboxes: () => {
    throw new Error('this test runs no sandboxes');
  },
};

/** A new directory that goes at the end of the scope. */
export function scratch(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'cofferdam-images-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Unpacks into `outer`/layer, so that a layer that leaves its directory shows in `outer`. */
export async function unpack(
  outer: string,
  blob: Buffer,
  stated: { digest?: string; diffId?: string; limits?: LayerLimits; chunk?: number } = {},
): Promise<UnpackedLayer & { readonly path: string }> {
  const path = join(outer, 'layer');
  mkdirSync(path, { mode: 0o755 });
  const source = {
    blob: Readable.from(chunks(blob, stated.chunk ?? 64 * 1024)),
    digest: stated.digest,
    diffId: stated.diffId,
  };
  return { path, ...(await unpackLayer(source, path, uncontained, stated.limits)) };
}

function* chunks(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Everything below a directory, relative, sorted. (Node's recursive readdir follows symlinks.) */
export function census(path: string): string[] {
  const found = execFileSync('find', [path, '-mindepth', '1', '-printf', '%P\\0'], { encoding: 'utf8' });
  return found.split('\0').slice(0, -1).sort();
}
