import { writeFileSync } from 'node:fs';
import type { SandboxDriver } from '../sandbox.ts';
import { baseOf, bootstrapped } from './bootstrap-key.ts';
import { type Image, ImageError } from './image.ts';
import type { Contain } from './layer.ts';
import { layerDirectory, type StoreLayout, storeLayout, usedAt, useLock } from './layout.ts';
import { type ImageRecord, listImages, listRefs, readImage, readRef } from './records.ts';
import {
  ImageReferenceError,
  isLoopback,
  parseLocalName,
  parseReference,
  type Reference,
} from './reference.ts';
import type { Prunable, Removed } from './removal.ts';
import type { Progress } from './workplace.ts';

export interface ResolveOptions {
  /** Default: said to nobody. */
  readonly progress?: Progress;
  /**
   * `missing` (default): what the store has is used as it is; `always`: the registry is asked what the name means
   * now; `never`: no network.
   */
  readonly pull?: 'missing' | 'always' | 'never';
  /** Speak plain HTTP, or TLS without a trusted certificate, to a registry on this machine. */
  readonly insecureRegistry?: boolean;
  /** Registry credentials, as `skopeo login` or `docker login` writes them. Default: skopeo's own places. */
  readonly authFile?: string;
}

export interface ListedImage {
  /** Undefined: no reference names it any more. */
  readonly ref: string | undefined;
  readonly digest: string;
  /** Sum of the sizes of its files, layers shared with other images included. */
  readonly bytes: number;
  readonly layers: number;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly usedAt: string;
}

/**
 * The images of this machine. Every method throws ImageReferenceError when the text is no reference, and ImageError when
 * the image cannot be had. All state is in files: any number of processes may use one data directory.
 */
export interface ImageStore {
  /** The image, made or pulled when it is missing. One that is there costs some small file reads. */
  resolve(ref: string, options?: ResolveOptions): Promise<Image>;
  /** Brings the image up to date: asks the registry again, makes a bootstrapped one anew. */
  pull(ref: string, options?: Omit<ResolveOptions, 'pull'>): Promise<Image>;
  /** Names the image in a docker-archive, OCI layout or root file system (file or directory). */
  importImage(name: string, path: string, options?: { readonly progress?: Progress }): Promise<Image>;
  /**
   * Writes an image that is in the store into a file, as `docker load`, skopeo and importImage() take it; returns the
   * digest that it has there.
   */
  exportImage(ref: string, file: string, options?: { readonly progress?: Progress }): Promise<string>;
  list(): ListedImage[];
  remove(ref: string, options?: { readonly progress?: Progress }): Promise<Removed>;
  prune(what?: Prunable, options?: { readonly progress?: Progress }): Promise<Removed>;
}

export interface StoreOptions {
  /** Runs what handles strangers' data; its commands write below the given directory only. */
  readonly contain: Contain;
  /**
   * Where packages are added to images; asked for when that is to be done, and may throw. Its sandboxes must take their
   * layers from this data directory.
   */
  readonly sandboxes: () => SandboxDriver;
}

/** The image store of a data directory. */
export function imageStore(dataDir: string, { contain, sandboxes }: StoreOptions): ImageStore {
  const layout = storeLayout(dataDir);
  const store = { layout, contain, sandboxes };

  const parse = (text: string) =>
    parseReference(text, (name) => readRef(layout, { kind: 'local', name }) !== undefined);

  const cached = (reference: Reference): ImageRecord | undefined => {
    if (reference.kind === 'bootstrap') return bootstrapped(layout, reference);
    const ref = readRef(layout, reference);
    return ref && readImage(layout, ref.digest);
  };

  // What makes images is loaded when one has to be made: most builds find theirs in the store.
  const make = async (reference: Reference, options: ResolveOptions): Promise<ImageRecord> => {
    const { pull, insecureRegistry = false, authFile, progress = silent } = options;
    if (reference.kind === 'local') throw new ImageError('its files are damaged; import it again');
    if (reference.kind === 'bootstrap') {
      const how = pull === 'always' ? 'anew' : 'missing';
      if (baseOf(reference)) {
        const { addPackages } = await import('./packages.ts');
        return await addPackages(store, reference, how, progress);
      }
      const { bootstrapImage } = await import('./bootstrap.ts');
      return await bootstrapImage(store, reference, how, progress);
    }
    const { pullImage } = await import('./pull.ts');
    return await pullImage(store, reference, { insecure: insecureRegistry, authFile }, progress);
  };

  const resolve = async (text: string, options: ResolveOptions = {}): Promise<Image> => {
    const reference = parse(text);
    if (options.insecureRegistry && reference.kind === 'registry' && !isLoopback(reference)) {
      const { registry } = reference;
      throw new ImageReferenceError(
        `'${text}': ${registry} is not on this machine, so it must be spoken to with TLS`,
      );
    }
    const fresh = options.pull === 'always' && reference.kind !== 'local';
    const found = fresh ? undefined : cached(reference);
    if (found) {
      keepBase(reference);
      return used(text, found);
    }
    if (options.pull === 'never') throw absent(text);
    try {
      return used(text, await make(reference, options));
    } catch (error) {
      throw named(text, error);
    }
  };

  /** The image as the caller gets it; its lock file's time says when that was. */
  const used = (ref: string, { digest, layers, config }: ImageRecord): Image => {
    touch(digest);
    const root = {
      layers: layers.map(({ id }) => layerDirectory(layout, id)),
      lock: useLock(layout, digest),
    };
    return { ref, digest, config, root };
  };

  /** Whoever uses an image with added packages wants others over the same base to share it. */
  const keepBase = (reference: Reference) => {
    const base = reference.kind === 'bootstrap' ? baseOf(reference) : undefined;
    const ref = base && readRef(layout, base);
    if (ref && readImage(layout, ref.digest)) touch(ref.digest);
  };

  const touch = (digest: string) => writeFileSync(useLock(layout, digest), '', { mode: 0o600 });

  return {
    resolve,
    pull: (ref, options) => resolve(ref, { ...options, pull: 'always' }),
    async importImage(name, path, { progress = silent } = {}) {
      const reference = parseLocalName(name);
      const { importArchive } = await import('./archive.ts');
      try {
        return used(name, await importArchive(store, reference, path, progress));
      } catch (error) {
        throw named(name, error);
      }
    },
    async exportImage(ref, file, { progress = silent } = {}) {
      const image = cached(parse(ref));
      if (!image) throw absent(ref);
      const { exportImage } = await import('./export.ts');
      try {
        return await exportImage(store, image, ref, file, progress);
      } catch (error) {
        throw named(ref, error);
      }
    },
    list: () => listed(layout),
    async remove(ref, { progress = silent } = {}) {
      const { removeImage } = await import('./removal.ts');
      return await removeImage(layout, parse(ref), progress);
    },
    async prune(what = { kind: 'unreferenced' }, { progress = silent } = {}) {
      const { pruneImages } = await import('./removal.ts');
      return await pruneImages(layout, what, progress);
    },
  };
}

function listed(layout: StoreLayout): ListedImage[] {
  const refs = listRefs(layout);
  return listImages(layout).flatMap(({ digest, layers, createdAt }) => {
    const image = {
      digest,
      bytes: layers.reduce((sum, { bytes }) => sum + bytes, 0),
      layers: layers.length,
      createdAt,
      usedAt: new Date(usedAt(layout, digest) ?? 0).toISOString(),
    };
    const names = refs.filter((ref) => ref.digest === digest).map(({ ref }) => ref.replace(/^local:/, ''));
    return (names.length > 0 ? names.sort() : [undefined]).map((ref) => ({ ref, ...image }));
  });
}

function absent(text: string): ImageError {
  return new ImageError(
    `image ${text} is not in the store; bring it in with \`cofferdam image pull ${text}\``,
  );
}

function named(text: string, error: unknown): unknown {
  return error instanceof ImageError
    ? new ImageError(`image ${text}: ${error.message}`, { cause: error })
    : error;
}

function silent(): void {}
