import { baseOf } from './bootstrap-key.ts';
import { bootstrapImage } from './bootstrap.ts';
import { layerDirectory } from './layout.ts';
import { madeOnce } from './making.ts';
import { downloadPackages } from './package-download.ts';
import { installPackages } from './package-layer.ts';
import type { ImageRecord } from './records.ts';
import type { BootstrapReference } from './reference.ts';
import type { Progress, Store } from './workplace.ts';

/**
 * Makes an image of a bootstrapped one and a layer with further packages and what these depend on; or waits for another
 * process that makes the same one. The base is made when it is missing, or with `anew`. Throws ImageError; SandboxError
 * when this machine cannot run a sandbox.
 *
 * What parses archives of the network, and every package's scripts, keep to their place: apt downloads outside, checks
 * signatures and hashes, and installs nothing; dpkg installs in a sandbox like that of a build, without network; what
 * it made comes out as a tar that is treated like a layer of a stranger's image.
 */
export async function addPackages(
  store: Store,
  reference: BootstrapReference,
  how: 'missing' | 'anew',
  progress: Progress,
): Promise<ImageRecord> {
  return await madeOnce(store, reference, how, progress, async (work) => {
    const base = await bootstrapImage(store, baseOf(reference) ?? reference, how, progress);
    progress(`adding ${reference.added.join(', ')}`);
    // mmdebstrap's images have one layer.
    const root = layerDirectory(store.layout, base.layers.at(-1)?.id ?? '');
    const archives = await downloadPackages(reference, root, work, progress);
    return archives.count === 0 ? base : await installPackages(store, work, base, archives, progress);
  });
}
