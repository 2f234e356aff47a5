// Adds to package-lock.json the optional packages of other platforms that npm left out: it does so whenever the
// registry could not tell of one, and `npm ci` then refuses the file. They are never installed here, so version and
// platform are enough. Run after every change of the lock file: bin/node .ci/complete-lock.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Entry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const file = join(import.meta.dirname, '../package-lock.json');
const lock: { packages: Record<string, Entry> } = JSON.parse(readFileSync(file, 'utf8'));

const systems = [
  'android',
  'darwin',
  'win32',
  'freebsd',
  'openbsd',
  'netbsd',
  'openharmony',
  'sunos',
  'aix',
  'linux',
];
const processors = [
  'x64',
  'arm64',
  'arm',
  'ia32',
  'ppc64',
  'riscv64',
  's390x',
  'loong64',
  'mips64el',
  'wasm32',
];

function find(words: readonly string[], name: string): string[] {
  return words.filter((word) => name.split(/[-/]/).includes(word)).slice(0, 1);
}

for (const { dev, optionalDependencies = {} } of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const path = `node_modules/${name}`;
    const os = find(systems, name);
    if (lock.packages[path]) continue;
    if (os.length === 0 || !/^\d/.test(version))
      throw new Error(`${name}@${version}: no platform or no exact version`);
    const cpu = find(processors, name);
    const libc = name.includes('musl') ? ['musl'] : [];
    lock.packages[path] = {
      version,
      ...(cpu.length > 0 && { cpu }),
      ...(dev && { dev }),
      ...(libc.length > 0 && { libc }),
      optional: true,
      os,
    } as Entry;
    console.log(`added ${name} ${version}`);
  }
}
const sorted = Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : 1));
writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, undefined, 2)}\n`);
