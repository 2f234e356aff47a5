import { accessSync, constants } from 'node:fs';
import { crunDriver } from '../runtime/crun/driver.ts';
import { thisHost } from '../runtime/host.ts';
import { holderFile } from '../runtime/host/holder.ts';
import { findTool } from '../runtime/host/tools.ts';
import { containBy } from '../runtime/images/contain.ts';
import { storeLayout } from '../runtime/images/layout.ts';
import { type ImageStore, imageStore } from '../runtime/images/store.ts';
import { type SandboxDriver, SandboxError } from '../runtime/sandbox.ts';
import type { Config } from '../src/config.ts';

/** What builds on this machine run with. */
export interface Machine {
  readonly driver: SandboxDriver;
  readonly images: ImageStore;
}

/** The sandboxes and images of this machine. Throws SandboxError or CgroupError when it cannot run builds. */
export function openMachine(dataDir: string, egressExceptions: Config['egressExceptions'] = []): Machine {
  if (process.getuid?.() !== 0) {
    throw new SandboxError(
      'open',
      'builds need root on this machine: run it by sudo (rootless is not supported yet)',
    );
  }
  const crun = findTool(thisHost(dataDir), 'crun');
  if (crun === undefined) throw new SandboxError('open', `crun is not on PATH; ${remedy}`);
  try {
    accessSync(holderFile, constants.X_OK);
  } catch (error) {
    throw new SandboxError('open', `the holder is not built; ${remedy}`, { cause: error });
  }
  const layersDir = storeLayout(dataDir).layers;
  const driver = crunDriver({
    dataDir,
    layersDir,
    holder: holderFile,
    crun,
    network: { exceptions: egressExceptions },
  });
  return { images: imageStore(dataDir, { contain: containBy(holderFile), sandboxes: () => driver }), driver };
}

const remedy = 'cofferdam doctor --fix sets up this machine';
