import { bootstrapKey, bootstrapped } from './bootstrap-key.ts';
import { makingLock } from './layout.ts';
import { withLock } from './lock.ts';
import { type ImageRecord, writeRef } from './records.ts';
import { type BootstrapReference, canonical } from './reference.ts';
import { type Progress, type Store, withWorkplace } from './workplace.ts';

/**
 * An image that this machine makes: the one that is there, unless it is wanted `anew`; or what `make` resolves with, in a
 * directory that goes afterwards. Only one process makes an image at a time; the others wait and find it.
 */
export async function madeOnce(
  store: Store,
  reference: BootstrapReference,
  how: 'missing' | 'anew',
  progress: Progress,
  make: (work: string) => Promise<ImageRecord>,
): Promise<ImageRecord> {
  const { layout } = store;
  const key = bootstrapKey(reference);
  const waiting = () => progress('waiting for another build that makes it');
  return await withWorkplace(store, progress, (work) =>
    withLock(makingLock(layout, `bootstrap-${key}`), 'exclusive', waiting, async () => {
      const present = how === 'missing' ? bootstrapped(layout, reference, key) : undefined;
      if (present) return present;
      const image = await make(work);
      writeRef(layout, reference, { ref: canonical(reference), digest: image.digest, key });
      return image;
    }),
  );
}
