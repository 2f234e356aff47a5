import { join } from 'node:path';
import { toolsDir } from './holder.ts';
import type { Requirement } from './requirement.ts';
import { quote } from './shell.ts';
import { findTool } from './tools.ts';

/** A server that only the tests use. Unpacked, not installed: Debian would start it on every boot, open to the network. */
interface Server {
  readonly name: string;
  readonly purpose: string;
  /** Where its program is in the first of its packages. */
  readonly file: string;
  /** The Debian packages that have it, and libraries that not every machine has. */
  readonly packages: readonly [string, ...string[]];
}

const servers: readonly Server[] = [
  {
    name: 'docker-registry',
    purpose: 'serves images to the tests',
    file: 'usr/bin/docker-registry',
    packages: ['docker-registry'],
  },
  {
    name: 'sshd',
    purpose: 'serves git repositories to the tests',
    file: 'usr/sbin/sshd',
    packages: ['openssh-server', 'libwrap0'],
  },
];

/** Programs go to `bin` of the tools' directory, shared libraries to `lib`. */
function unpack({ name, file, packages }: Server): string {
  const download = `apt-get -q download ${packages.join(' ')}`;
  return [
    `mkdir -p ${quote(toolsDir)}`,
    `cd ${quote(toolsDir)}`,
    `rm -rf ${name}.unpacked`,
    `mkdir -p bin lib ${name}.unpacked`,
    `cd ${name}.unpacked`,
    `{ ${download} || { apt-get -q update && ${download}; }; }`,
    'for package in *.deb; do dpkg-deb -x "$package" . || exit; done',
    `find . -name 'lib*.so.*' -exec mv {} ../lib/ ';'`,
    `mv ${file} ../bin/`,
    `cd .. && rm -r ${name}.unpacked`,
  ].join(' && ');
}

/** Real servers for the tests. */
export const unpackedRequirements: readonly Requirement[] = servers.map((server) => ({
  id: server.name,
  purpose: server.purpose,
  neededFor: 'tests',
  probe: (host) => {
    const found = findTool({ ...host, path: [join(toolsDir, 'bin'), ...host.path] }, server.name);
    if (found) return { status: 'ok', detail: found, file: found };
    return {
      status: 'missing',
      detail: 'not on PATH',
      remedy: {
        kind: 'command',
        title: `unpack Debian's ${server.packages[0]} for the tests`,
        args: ['sh', '-c', unpack(server)],
        needsRoot: true,
      },
    };
  },
}));
