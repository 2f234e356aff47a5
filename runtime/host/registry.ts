import { join } from 'node:path';
import { toolsDir } from './holder.ts';
import type { Requirement } from './requirement.ts';
import { quote } from './shell.ts';
import { findTool } from './tools.ts';

// Unpacked, not installed: Debian's package would start a registry on every boot, open to the network.
const unpack = [
  `mkdir -p ${quote(toolsDir)}`,
  `cd ${quote(toolsDir)}`,
  'rm -rf registry bin',
  'mkdir registry bin',
  'cd registry',
  '{ apt-get -q download docker-registry || { apt-get -q update && apt-get -q download docker-registry; }; }',
  'dpkg-deb -x docker-registry_*.deb .',
  'mv usr/bin/docker-registry ../bin/',
  'cd .. && rm -r registry',
].join(' && ');

/** A real image registry, for the tests of pulling. */
export const registryRequirement: Requirement = {
  id: 'docker-registry',
  purpose: 'serves images to the tests',
  neededFor: 'tests',
  probe: (host) => {
    const found = findTool({ ...host, path: [join(toolsDir, 'bin'), ...host.path] }, 'docker-registry');
    if (found) return { status: 'ok', detail: found, file: found };
    return {
      status: 'missing',
      detail: 'not on PATH',
      remedy: {
        kind: 'command',
        title: "unpack Debian's docker-registry for the tests",
        args: ['sh', '-c', unpack],
        needsRoot: true,
      },
    };
  },
};
