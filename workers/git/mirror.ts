import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { tryLock } from '../../runtime/images/lock.ts';
import { removeTrees } from '../../runtime/images/workplace.ts';
import { type ObjectFormat, openRepository, repositoryConfig } from './environment.ts';
import { MirrorDamaged } from './mirror-damaged.ts';
import type { Objects } from './objects.ts';

/** Where the mirror of a repository is on this machine, whether it is there or not. */
export interface MirrorPlace {
  /** Lower-case hex; the same for the same repository of the same URL. */
  readonly id: string;
  readonly directory: string;
  /** The bare repository in it. */
  readonly repository: string;
  /** Whoever changes or reads the mirror holds it exclusively. Its time is when the mirror was last used. */
  readonly lock: string;
}

/** A mirror whose lock is held. */
export interface OpenMirror extends MirrorPlace {
  readonly objects: Objects;
}

/** What is kept of a remote that a repository's credentials opened is not for builds that lack them. */
export function mirrorPlace(dataDir: string, url: string, repository: string | undefined): MirrorPlace {
  const id = createHash('sha256')
    .update(JSON.stringify([url, repository ?? null]))
    .digest('hex');
  const root = mirrorsRoot(dataDir);
  const directory = join(root, id);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  return { id, directory, repository: join(directory, 'repository'), lock: join(root, `${id}.lock`) };
}

/**
 * Makes the mirror ready for use: empty when there is none, without what a killed process left, configured as it should
 * be whatever happened to it. The caller holds the lock. Throws MirrorDamaged.
 */
export async function readyMirror(place: MirrorPlace, format: ObjectFormat): Promise<void> {
  const { directory, repository } = place;
  if (!isThere(join(repository, 'HEAD'))) {
    rmSync(directory, { recursive: true, force: true });
    const fresh = await mkdtemp(`${directory}.new-`);
    const bare = join(fresh, 'repository');
    mkdirSync(bare);
    const init = ['init', '--quiet', '--bare', '--template=', '--initial-branch=none'];
    await openRepository(bare).raw([...init, `--object-format=${format}`]);
    writeFileSync(join(bare, 'config'), repositoryConfig(format));
    await rename(fresh, directory);
  }
  try {
    const config = repositoryConfig(formatOf(repository));
    if (readFileSync(join(repository, 'config'), 'utf8') !== config) {
      writeFileSync(join(repository, 'config'), config);
    }
    removeLeftovers(repository);
  } catch (cause) {
    if (!(cause instanceof Error) || !('code' in cause) || cause.code !== 'ENOENT') throw cause;
    throw new MirrorDamaged(`it lacks a file: ${cause.message}`, { cause });
  }
  const now = new Date();
  utimesSync(place.lock, now, now);
}

/** Sandboxes keep the packs that they use; see dot-git.ts. The caller holds the lock. */
export async function discardMirror({ directory }: MirrorPlace): Promise<void> {
  const aside = await mkdtemp(`${directory}.gone-`);
  await rename(directory, join(aside, 'mirror')).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await removeTrees([aside]);
}

/** Bytes of what was fetched. */
export function packedBytes(repository: string): number {
  const directory = join(repository, 'objects', 'pack');
  return readdirSync(directory).reduce(
    (sum, name) => sum + (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

/** With more packs than this they are joined; each fetch makes one. */
const manyPacks = 20;

/**
 * Joins small packs, and removes the mirrors that were not used for the longest time until no more bytes than the cap
 * are left. Waits for nobody.
 */
export async function tidyMirrors(dataDir: string, capBytes: number): Promise<void> {
  const root = mirrorsRoot(dataDir);
  if (!isThere(root)) return;
  await removeTrees(
    readdirSync(root)
      .filter((name) => /\.(new|gone)-/.test(name))
      .map((name) => join(root, name))
      .filter((path) => Date.now() - statSync(path).mtimeMs > abandonedMs),
  );
  const places = readdirSync(root)
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .map((id) => ({
      id,
      directory: join(root, id),
      repository: join(root, id, 'repository'),
      lock: join(root, `${id}.lock`),
    }))
    .map((place) => ({ place, usedAt: statSync(place.lock).mtimeMs, bytes: packedBytes(place.repository) }));
  let total = places.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { place, bytes } of places.sort((a, b) => a.usedAt - b.usedAt)) {
    const held = await tryLock(place.lock, 'exclusive');
    if (!held) continue;
    try {
      if (total > capBytes) {
        await discardMirror(place);
        total -= bytes;
      } else if (packsOf(place.repository).length > manyPacks) {
        await openRepository(place.repository).raw(['repack', '-d', '--geometric=2', '--quiet']);
      }
    } finally {
      await held.release();
    }
  }
}

const abandonedMs = 24 * 3_600_000;

const mirrorsRoot = (dataDir: string) => join(dataDir, 'git', 'mirrors');

/** Names of the packs, without their endings. */
export function packsOf(repository: string): string[] {
  return readdirSync(join(repository, 'objects', 'pack'))
    .filter((name) => /^pack-[0-9a-f]+\.pack$/.test(name))
    .map((name) => name.slice(0, -'.pack'.length));
}

export function formatOf(repository: string): ObjectFormat {
  return readFileSync(join(repository, 'config'), 'utf8').includes('sha256') ? 'sha256' : 'sha1';
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Nobody else is at work here: a lock that git left behind would make all later changes fail. */
function removeLeftovers(repository: string): void {
  const packs = join(repository, 'objects', 'pack');
  for (const name of readdirSync(packs)) if (name.startsWith('tmp_')) rmSync(join(packs, name));
  for (const name of readdirSync(repository)) if (name.endsWith('.lock')) rmSync(join(repository, name));
  for (const name of readdirSync(join(repository, 'refs'), { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.lock')) rmSync(join(repository, 'refs', name));
  }
}
