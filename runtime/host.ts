import { release } from 'node:os';
import { cgroupRequirements } from './host/cgroups.ts';
import { dpkgRequirement } from './host/dpkg.ts';
import { exposureRequirements } from './host/exposure.ts';
import { holderRequirement } from './host/holder.ts';
import { idRequirements } from './host/ids.ts';
import { kernelRequirements } from './host/kernel.ts';
import { networkRequirements } from './host/network.ts';
import type { Finding, Host, Requirement } from './host/requirement.ts';
import { storageRequirements } from './host/storage.ts';
import { sysctlRequirements } from './host/sysctls.ts';
import { toolRequirements } from './host/tools.ts';
import { unpackedRequirements } from './host/unpacked.ts';

/** Everything a machine must have; `cofferdam doctor` and bin/setup.ts both go by this table. */
const requirements: readonly Requirement[] = [
  ...kernelRequirements,
  ...cgroupRequirements,
  dpkgRequirement,
  ...toolRequirements,
  ...networkRequirements,
  holderRequirement,
  ...idRequirements,
  ...storageRequirements,
  ...sysctlRequirements,
  ...exposureRequirements,
  ...unpackedRequirements,
];

/** A requirement and what was found. */
export type Check = Pick<Requirement, 'id' | 'purpose' | 'neededFor'> & Finding;

/** This machine, with the PATH by which command.ts starts tools. */
export function thisHost(dataDir: string): Host {
  const path = process.env['PATH'] ?? '/usr/bin:/bin';
  return {
    root: '/',
    path: path.split(':').filter((directory) => directory.startsWith('/')),
    uid: process.getuid?.() ?? 0,
    kernelRelease: release(),
    dataDir,
  };
}

/** Looks for everything that is needed for the given purposes; changes nothing. In the table's order. */
export function inspect(host: Host, purposes: readonly Requirement['neededFor'][]): Promise<Check[]> {
  const wanted = requirements.filter(({ neededFor }) => purposes.includes(neededFor));
  return Promise.all(
    wanted.map(async ({ id, purpose, neededFor, probe }) => ({
      id,
      purpose,
      neededFor,
      ...(await probe(host)),
    })),
  );
}
