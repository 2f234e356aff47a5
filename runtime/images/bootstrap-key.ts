import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StoreLayout } from './layout.ts';
import { type ImageRecord, readImage, readRef } from './records.ts';
import { type BootstrapReference, canonical } from './reference.ts';

/** Changed when bootstrapImage() or addPackages() makes something else of the same input. */
const recipe = '1';

/**
 * What the image is made from: suite, packages, processor, and the machine's package sources. The same key: the
 * same image, as far as the archive stands still; `image pull` makes it anew.
 */
export function bootstrapKey(reference: BootstrapReference, aptDirectory = '/etc/apt'): string {
  const hash = createHash('sha256').update(JSON.stringify([recipe, canonical(reference), process.arch]));
  for (const [name, content] of packageSources(aptDirectory)) hash.update(`\n${name}\n`).update(content);
  return hash.digest('hex');
}

function* packageSources(aptDirectory: string): Generator<readonly [string, Buffer]> {
  const parts = join(aptDirectory, 'sources.list.d');
  const names = orNothing(() => readdirSync(parts)).filter((name) => /\.(?:list|sources)$/.test(name));
  for (const file of [join(aptDirectory, 'sources.list'), ...names.sort().map((name) => join(parts, name))]) {
    for (const content of orNothing(() => [readFileSync(file)])) yield [file, content];
  }
}

/** Either of the two places of package sources may be missing. */
function orNothing<T>(read: () => T[]): T[] {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** The image that the packages were added to; undefined when none were. */
export function baseOf(reference: BootstrapReference): BootstrapReference | undefined {
  return reference.added.length > 0 ? { ...reference, added: [] } : undefined;
}

/**
 * The image, when the store has it and it was made from what it would be made from now: with added packages, also from
 * the base that the store has.
 */
export function bootstrapped(
  layout: StoreLayout,
  reference: BootstrapReference,
  key = bootstrapKey(reference),
): ImageRecord | undefined {
  const ref = readRef(layout, reference);
  const image = ref?.key === key ? readImage(layout, ref.digest) : undefined;
  const baseReference = baseOf(reference);
  const base = image && baseReference && bootstrapped(layout, baseReference);
  return base && !isOver(image, base) ? undefined : image;
}

function isOver(image: ImageRecord, base: ImageRecord): boolean {
  return base.layers.every(({ id }, at) => image.layers[at]?.id === id);
}
