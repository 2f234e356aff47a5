import { existsSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Image } from '../runtime/images/image.ts';
import type { SandboxDriver } from '../runtime/sandbox.ts';
import { openMachine } from '../workers/machine.ts';

/** What all figures are measured with. */
export interface Site {
  /** Samples of a start; everything else scales with it. */
  readonly runs: number;
  readonly dataDir: string;
  readonly driver: SandboxDriver;
  readonly image: Image;
  /** The image's root file system. Never written to. */
  readonly root: string;
  /** Kept from one benchmark to the next: what had to be fetched. */
  readonly cache: string;
  /** Removed at the end. */
  readonly scratch: string;
  /** Where a Docker daemon may listen. */
  readonly dockerSocket: string;
  /** Aborted when the user wants no more: what was made is removed, and nothing reported. */
  readonly stop: AbortSignal;
  /** Says to a waiting user what goes on. */
  readonly progress: (line: string) => void;
  close(): Promise<void>;
}

const home = '/var/tmp/cofferdam-bench';
const scratchPrefix = 'scratch-';
const imageRef = 'bootstrap:bookworm+build-essential';

/** Opens this machine and brings the image in. Throws SandboxError, CgroupError or ImageError. */
export async function openSite({
  runs,
  dataDir = home,
  dockerSocket,
  stop,
  progress,
}: {
  readonly runs: number;
  readonly dataDir?: string | undefined;
  readonly dockerSocket: string;
  readonly stop: AbortSignal;
  readonly progress: (line: string) => void;
}): Promise<Site> {
  const { driver, images } = openMachine(dataDir);
  const image = await images.resolve(imageRef, { progress });
  const [root, ...more] = image.root.layers;
  if (root === undefined || more.length > 0) throw new Error(`${imageRef} has more than one layer`);
  const cache = join(home, 'cache');
  await mkdir(cache, { recursive: true });
  await sweep();
  const scratch = join(home, `${scratchPrefix}${process.pid}`);
  await mkdir(scratch);
  return {
    runs,
    dataDir,
    driver,
    image,
    root,
    cache,
    scratch,
    dockerSocket,
    stop,
    progress,
    close: () => rm(scratch, { recursive: true, force: true }),
  };
}

/** Removes what benchmarks left that were killed. */
async function sweep(): Promise<void> {
  for (const name of await readdir(home)) {
    const stale =
      name.startsWith(scratchPrefix) && !existsSync(join('/proc', name.slice(scratchPrefix.length)));
    if (stale) await rm(join(home, name), { recursive: true, force: true });
  }
}
