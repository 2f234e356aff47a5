import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageError } from './image.ts';
import type { Progress } from './workplace.ts';

/** How often the transferred bytes are looked at, in milliseconds. */
const interval = 1000;
/** A transfer that gains nothing for this many intervals is given up: the registry hangs. */
const patience = 120;

/**
 * Runs a transfer of `total` bytes into files below `directory`, reports how far it is, and aborts it when nothing
 * comes any more. Throws ImageError.
 */
export async function watchTransfer(
  directory: string,
  total: number,
  transfer: (signal: AbortSignal) => Promise<unknown>,
  progress: Progress,
): Promise<void> {
  const aborter = new AbortController();
  let before = 0;
  let idle = 0;
  let reported = 0;
  const timer = setInterval(() => {
    void bytesBelow(directory).then((bytes) => {
      idle = bytes > before ? 0 : idle + 1;
      before = bytes;
      if (idle >= patience) aborter.abort();
      const percent = Math.min(99, Math.floor((100 * bytes) / Math.max(1, total)));
      if (percent < reported + 5) return;
      reported = percent;
      progress(`${percent} % of ${megabytes(total)}`);
    });
  }, interval);
  try {
    await transfer(aborter.signal);
  } catch (cause) {
    if (!aborter.signal.aborted) throw cause;
    const seconds = (patience * interval) / 1000;
    throw new ImageError(`the registry sent nothing for ${seconds} s: check the network, then try again`, {
      trouble: 'unavailable',
      cause,
    });
  } finally {
    clearInterval(timer);
  }
}

async function bytesBelow(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true }).catch(() => []);
  // A file may be renamed between the two calls: then it counts next time.
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(directory, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** `12.3 MB` */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
