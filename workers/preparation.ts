import { type Image, ImageError } from '../runtime/images/image.ts';
import type { Plan } from '../src/workflow/plan.ts';
import type { BuildSource } from './build.ts';
import type { RestoreCaches, RestoredCaches } from './caches.ts';
import { isRunnable } from './commands.ts';

/** Where what a workflow needs comes from. */
export interface Supplies {
  /** The same for all workflows of the build. Rejects with SourceError. */
  readonly source: Promise<BuildSource>;
  /** Throws ImageError. */
  readonly resolveImage: (ref: string, pull: Plan['steps'][number]['pull']) => Promise<Image>;
  readonly caches: RestoreCaches;
}

/** What a workflow needs before its sandbox is opened. */
export interface Prepared {
  readonly source: BuildSource;
  /** By reference; every image that the plan names. */
  readonly images: ReadonlyMap<string, Image>;
  readonly caches: RestoredCaches;
}

/**
 * Images, source and caches, side by side. Throws ImageError, also for an image that says nothing of what to run where
 * the workflow does not say it either; and SourceError.
 * @param build of the sandbox
 * @param say writes a line about caches into the log
 */
export async function prepare(
  plan: Plan,
  build: string,
  { source, resolveImage, caches: restore }: Supplies,
  say: (line: string) => void,
): Promise<Prepared> {
  const users = [
    ...plan.steps.map(({ container, run, pull, name }) => {
      const ref = container.kind === 'own' ? container.image : plan.image;
      return { what: `step '${name}'`, ref, run, pull };
    }),
    ...plan.services.map(({ image, run, pull, name }) => {
      return { what: `service '${name}'`, ref: image, run, pull };
    }),
  ];
  const pulls = new Map<string, 'missing' | 'always'>();
  for (const { ref, pull } of users) {
    if (ref !== undefined && pulls.get(ref) !== 'always') pulls.set(ref, pull);
  }
  const [described, caches, images] = await Promise.all([
    source,
    source.then((its) => restore({ plan, build, source: its, say })),
    Promise.all([...pulls].map(async ([ref, pull]) => [ref, await resolveImage(ref, pull)] as const)),
  ]);
  const byReference = new Map(images);
  for (const { what, ref, run } of users) {
    const image = byReference.get(ref ?? '');
    if (!image || isRunnable(run, image)) continue;
    throw new ImageError(
      `${ref} says nothing of what to run (no ENTRYPOINT, no CMD): give the ${what} commands`,
    );
  }
  return { source: described, images: byReference, caches };
}
