import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../command.ts';
import type { SandboxDriver } from '../sandbox.ts';
import type { Contain } from './layer.ts';
import { type StoreLayout, storeLock } from './layout.ts';
import { tryLock, withLock } from './lock.ts';

/** Receives one line at a time about what is being done. */
export type Progress = (line: string) => void;

/** What everything that adds to the store needs. */
export interface Store {
  readonly layout: StoreLayout;
  readonly contain: Contain;
  /** Throws when this machine cannot run any; those that it has read the layers of this store. */
  readonly sandboxes: () => SandboxDriver;
}

/**
 * Runs `work` with an empty directory of its own on the store's file system, while nothing can be removed from the
 * store. The directory goes afterwards, and what killed processes left goes before.
 */
export async function withWorkplace<T>(
  { layout }: Store,
  progress: Progress,
  work: (directory: string) => Promise<T>,
): Promise<T> {
  await sweepIfIdle(layout);
  const waiting = () => progress('waiting for images to be removed');
  return await withLock(storeLock(layout), 'shared', waiting, async () => {
    const directory = mkdtempSync(join(layout.tmp, 'work-'));
    try {
      return await work(directory);
    } finally {
      await removeTrees([directory]);
    }
  });
}

/** Whoever gets the lock alone knows that nobody is at work: all there is in tmp/ is stale. */
async function sweepIfIdle(layout: StoreLayout): Promise<void> {
  if (readdirSync(layout.tmp).length === 0) return;
  const alone = await tryLock(storeLock(layout), 'exclusive');
  if (!alone) return;
  try {
    await sweep(layout);
  } finally {
    await alone.release();
  }
}

/** Removes unfinished work; the caller holds the store lock exclusively. */
export async function sweep(layout: StoreLayout): Promise<void> {
  await removeTrees(readdirSync(layout.tmp).map((name) => join(layout.tmp, name)));
}

/** rm(1): for trees of 100,000 files several times faster than node:fs, and it never follows a symlink. */
export async function removeTrees(paths: readonly string[]): Promise<void> {
  if (paths.length > 0) await run({ file: 'rm', args: ['-rf', '--one-file-system', '--', ...paths] });
}
