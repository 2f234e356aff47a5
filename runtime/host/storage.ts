import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Finding, Host, Requirement } from './requirement.ts';
import { atLeast } from './version.ts';

const GiB = 1024 ** 3;

/** Below the first a single image does not fit; below the second a few do not. */
const least = 2 * GiB;
const comfortable = 10 * GiB;

/** f_type of statfs(2) of file systems that can be idmapped, and the kernel since when (mount_setattr(2)). */
const idmappable: Readonly<Record<number, { readonly name: string; readonly since: string }>> = {
  0xef53: { name: 'ext4', since: '5.12' },
  0x58465342: { name: 'xfs', since: '5.12' },
  0x9123683e: { name: 'btrfs', since: '5.15' },
  0xf2f52010: { name: 'f2fs', since: '5.18' },
  0x01021994: { name: 'tmpfs', since: '6.3' },
};

function probeDataDir(host: Host): Finding {
  const { dataDir } = host;
  const elsewhere = 'set COFFERDAM_DATA to a directory on ext4, xfs or btrfs';
  const existing = nearestDirectory(dataDir);
  try {
    accessSync(existing, constants.W_OK);
  } catch {
    const text = `make ${dataDir} writable for this user, or set COFFERDAM_DATA`;
    return { status: 'missing', detail: `${existing} is not writable`, remedy: { kind: 'advice', text } };
  }
  const { type, bavail, bsize } = statfsSync(existing);
  const system = idmappable[type];
  if (!system || !atLeast(host.kernelRelease, system.since)) {
    const name = system?.name ?? `a file system of type 0x${type.toString(16)}`;
    return {
      status: 'missing',
      detail: `${dataDir} is on ${name}, whose layers cannot be shared through id maps`,
      remedy: { kind: 'advice', text: elsewhere },
    };
  }
  const free = bavail * bsize;
  const detail = `${dataDir}: ${system.name}, ${(free / GiB).toFixed(1)} GiB free`;
  if (free >= comfortable) return { status: 'ok', detail };
  const remedy = {
    kind: 'advice',
    text: 'free some space (cofferdam image prune), or set COFFERDAM_DATA',
  } as const;
  return { status: free < least ? 'missing' : 'warn', detail, remedy };
}

function nearestDirectory(path: string): string {
  return existsSync(path) || path === dirname(path) ? path : nearestDirectory(dirname(path));
}

/** Where images and the builds' disks are kept. */
export const storageRequirements: readonly Requirement[] = [
  { id: 'data', purpose: 'keeps images and disks', neededFor: 'builds', probe: probeDataDir },
];
