import { join } from 'node:path';
import { type ImageStore, imageStore } from '../../../runtime/images/store.ts';
import { type Recipe, writeLayout } from './image-builder.ts';
import { type Registry, startRegistry } from './registry.ts';
import { directory, file, tar } from './tar-builder.ts';
import { census, scratch, storeOptions } from './unpacking.ts';

/** A layer with one file, `etc/NAME`. */
export const layer = (name: string): Buffer => tar([directory('etc'), file(`etc/${name}`, name)]);

/** What a store holds of images: everything but its lock files. */
export function contents(data: string): string[] {
  return census(join(data, 'images')).filter((path) => !path.startsWith('locks/'));
}

let count = 0;

/** A new, empty store below a directory. */
export function newStore(dir: string): { readonly store: ImageStore; readonly data: string } {
  const data = join(dir, `data${count++}`);
  return { data, store: imageStore(data, storeOptions) };
}

export interface Published {
  readonly ref: string;
  readonly name: string;
  readonly digest: string;
}

/** Pushes an image, under a new name unless one is given. */
export async function publish(
  registry: Registry,
  recipe: Recipe,
  name = `image${count++}`,
): Promise<Published> {
  using layout = scratch();
  const { digest } = writeLayout(layout.path, recipe);
  await registry.push(layout.path, `${name}:1`);
  return { ref: `${registry.host}/${name}:1`, name, digest };
}

/** A registry and a directory for one test file. */
export async function startFixture(): Promise<{
  path: string;
  registry: Registry;
  stop: () => Promise<void>;
}> {
  const dir = scratch();
  const registry = await startRegistry(join(dir.path, 'registry'));
  const stop = async () => {
    await registry.stop();
    dir[Symbol.dispose]();
  };
  return { path: dir.path, registry, stop };
}
