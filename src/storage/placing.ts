import { mkdir, open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Directories in the making: `first` is the topmost of them, undefined when all were there. */
interface Making {
  readonly first: Promise<string | undefined>;
  readonly placed: Promise<void>;
}

/** Makes a directory and those above it that are missing; when this resolves they are on disk. */
export async function makeDirectory(directory: string): Promise<void> {
  await syncAbove(directory, await mkdir(directory, { recursive: true, mode: 0o700 }));
}

/**
 * Returns what moves whole files to their places, which are made where they are missing. When a call resolves the name is
 * on disk, and those of all new directories above it: each is an entry of the one above (fsync(2)), and another call may
 * have made it a moment ago. A place that was there costs one sync.
 */
export function createPlacing(): (temporary: string, target: string) => Promise<void> {
  const makings = new Set<Making>();

  const intoNew = async (temporary: string, target: string, making: Making['first']): Promise<void> => {
    const first = await making;
    await rename(temporary, target);
    await sync(dirname(target));
    await syncAbove(dirname(target), first);
  };

  const untilOthersPlaced = async (directory: string, others: readonly Making[]): Promise<void> => {
    for (const { first, placed } of others) {
      const top = await first.catch(() => undefined);
      if (top !== undefined && join(directory, '/').startsWith(join(top, '/'))) await placed;
    }
  };

  return async (temporary, target) => {
    const directory = dirname(target);
    if (await moved(temporary, target)) {
      const others = [...makings];
      await sync(directory);
      await untilOthersPlaced(directory, others);
      return;
    }
    const first = mkdir(directory, { recursive: true, mode: 0o700 });
    const making = { first, placed: intoNew(temporary, target, first) };
    const others = [...makings];
    makings.add(making);
    try {
      await making.placed;
    } finally {
      makings.delete(making);
    }
    await untilOthersPlaced(directory, others);
  };
}

/** False: there is no such directory (yet). */
async function moved(temporary: string, target: string): Promise<boolean> {
  try {
    await rename(temporary, target);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

/** @param first the topmost directory that is new; undefined: none is */
async function syncAbove(directory: string, first: string | undefined): Promise<void> {
  if (first === undefined) return;
  for (let above = directory; above.length >= first.length; ) {
    above = dirname(above);
    await sync(above);
  }
}

async function sync(directory: string): Promise<void> {
  const entry = await open(directory, 'r');
  try {
    await entry.sync();
  } finally {
    await entry.close();
  }
}
