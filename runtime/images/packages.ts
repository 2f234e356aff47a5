import { baseOf, bootstrapKey, bootstrapped } from './bootstrap-key.ts';
import { bootstrapImage } from './bootstrap.ts';
import { layerDirectory, makingLock } from './layout.ts';
import { withLock } from './lock.ts';
import { downloadPackages } from './package-download.ts';
import { installPackages } from './package-layer.ts';
import { type ImageRecord, writeRef } from './records.ts';
import { type BootstrapReference, canonical } from './reference.ts';
import { type Progress, type Store, withWorkplace } from './workplace.ts';

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
  const { layout } = store;
  const key = bootstrapKey(reference);
  const waiting = () => progress('waiting for another process that makes the same image');
  return await withWorkplace(store, progress, (work) =>
    withLock(makingLock(layout, `bootstrap-${key}`), 'exclusive', waiting, async () => {
      const present = how === 'missing' ? bootstrapped(layout, reference, key) : undefined;
      if (present) return present;
      const base = await bootstrapImage(store, baseOf(reference) ?? reference, how, progress);
      progress(`adding ${reference.added.join(', ')}`);
      // mmdebstrap's images have one layer.
      const root = layerDirectory(layout, base.layers.at(-1)?.id ?? '');
      const archives = await downloadPackages(reference, root, work, progress);
      const image =
        archives.count === 0 ? base : await installPackages(store, work, base, archives, progress);
      writeRef(layout, reference, { ref: canonical(reference), digest: image.digest, key });
      return image;
    }),
  );
}
