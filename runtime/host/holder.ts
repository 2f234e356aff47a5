import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Finding, Host, Remedy, Requirement } from './requirement.ts';
import { quote } from './shell.ts';
import { findTool } from './tools.ts';

/** The directory with package.json: the clone, or the installed package (this file is then below its dist). */
const packageRoot = nearestPackage(import.meta.dirname);

/** What set-up makes, inside the clone or package. */
export const toolsDir = join(packageRoot, '.cofferdam-tools');

/** The compiled holder; see runtime/crun/holder. */
export const holderFile = join(toolsDir, 'holder');

const sourceDir = join('runtime', 'crun', 'holder');

function nearestPackage(directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory;
  return nearestPackage(dirname(directory));
}

function probeHolder(host: Host): Finding {
  const sources = readdirSync(join(packageRoot, sourceDir)).filter((name) => /\.[ch]$/.test(name));
  const built = statSync(holderFile, { throwIfNoEntry: false });
  const newest = Math.max(...sources.map((name) => statSync(join(packageRoot, sourceDir, name)).mtimeMs));
  if (built && built.mtimeMs >= newest) return { status: 'ok', detail: holderFile, file: holderFile };
  const detail = built ? 'older than its source' : 'not compiled';
  return { status: 'missing', detail, remedy: toolchain(host) ?? compile };
}

/** What a static C program takes, as Debian packages; undefined when it is there. */
function toolchain(host: Host): Remedy | undefined {
  const compiler = findTool(host, 'cc');
  const headers = existsSync(join(host.root, '/usr/include/stdio.h'));
  const kernelHeaders = existsSync(join(host.root, '/usr/include/linux/mount.h'));
  if (compiler && headers && kernelHeaders) return undefined;
  return { kind: 'packages', names: ['gcc', 'libc6-dev', 'linux-libc-dev'] };
}

// The binary appears whole or not at all: other processes may be starting it.
const compile: Remedy = {
  kind: 'command',
  title: 'compile the holder',
  args: [
    'sh',
    '-c',
    [
      `cd ${quote(packageRoot)}`,
      'mkdir -p .cofferdam-tools',
      `cc -O2 -static -pthread -Wall -Wextra -o .cofferdam-tools/holder.$$ ${sourceDir}/*.c`,
      'mv -f .cofferdam-tools/holder.$$ .cofferdam-tools/holder',
    ].join(' && '),
  ],
  needsRoot: false,
};

/** The native part, compiled on the machine it runs on. */
export const holderRequirement: Requirement = {
  id: 'holder',
  purpose: 'PID 1 of every sandbox',
  neededFor: 'builds',
  probe: probeHolder,
};
