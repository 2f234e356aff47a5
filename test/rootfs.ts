import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../runtime/command.ts';
import type { RootLayers } from '../runtime/sandbox.ts';

/** What tests keep from one run to the next, and where those on real filesystems make their directories. */
export const testData = process.env['COFFERDAM_TEST_DATA'] ?? '/var/tmp/cofferdam-test';

/** Parent of all layers that tests use. */
export const layersDir = join(testData, 'layers');

const suite = readFileSync('/etc/os-release', 'utf8').match(/^VERSION_CODENAME=(\w+)/m)?.[1] ?? 'stable';
const base = join(layersDir, `minbase-${suite}`);

/** A minimal Debian of this machine's release; test/global-setup.ts makes it. */
export const debian: RootLayers = { layers: [base], lock: `${base}.lock` };

/**
 * Makes the root unless it is there: about 20 s, once for all test runs of this machine. Of several processes that
 * want it at once, one makes it and the others wait.
 */
export async function makeDebian(): Promise<void> {
  if (existsSync(base)) return;
  mkdirSync(layersDir, { recursive: true });
  const script = `
    [ ! -e "$1" ] || exit 0
    rm -rf "$1.new"
    mmdebstrap --quiet --mode=root --variant=minbase --skip=output/dev "$2" "$1.new"
    mv "$1.new" "$1"`;
  await run({ file: 'flock', args: [debian.lock, 'sh', '-euc', script, 'sh', base, suite] });
}
