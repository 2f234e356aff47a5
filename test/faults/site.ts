import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withLock } from '../../runtime/images/lock.ts';
import { openMachine } from '../../workers/machine.ts';
import { testData } from '../rootfs.ts';

/**
 * Lets `work` have a data directory for workers, in which images stay from one run to the next. Nobody else uses it
 * meanwhile, so that a census is exact. Making the image takes a minute, the first time.
 */
export async function withWorkersDir(
  say: (text: string) => void,
  work: (dataDir: string) => Promise<void>,
): Promise<void> {
  const dataDir = join(testData, 'faults');
  mkdirSync(join(dataDir, 'sources'), { recursive: true });
  const lock = join(testData, 'lock-of-faults');
  writeFileSync(lock, '', { flag: 'a' });
  const onWait = () => say('another run of the fault suite is under way; waiting for it');
  await withLock(lock, 'exclusive', onWait, async () => {
    await openMachine(dataDir).images.resolve('bootstrap:bookworm');
    await work(dataDir);
  });
}

/** For what the processes of one round share, and their logs. */
export function makeScratch(): string {
  return mkdtempSync(join(tmpdir(), 'cofferdam-faults-'));
}
