import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Host, Requirement } from './requirement.ts';

/** Whether dpkg was killed at work: it keeps its journal here, and apt refuses to work before it is played back. */
export function interrupted(host: Host): boolean {
  try {
    return readdirSync(join(host.root, '/var/lib/dpkg/updates')).length > 0;
  } catch {
    return false;
  }
}

/** Tools that are unpacked but not configured look complete, and are not. */
export const dpkgRequirement: Requirement = {
  id: 'dpkg',
  purpose: 'leaves no package half installed',
  neededFor: 'builds',
  probe: (host) => {
    if (!interrupted(host)) return { status: 'ok', detail: 'nothing half done' };
    return {
      status: 'missing',
      detail: 'was interrupted, or is at work now',
      remedy: {
        kind: 'command',
        title: 'finish what dpkg was doing',
        args: ['dpkg', '--configure', '-a'],
        needsRoot: true,
      },
    };
  },
};
