import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crunDriver } from '../../runtime/crun/driver.ts';
import { debian, layersDir } from '../rootfs.ts';
import type { Bench } from './bench.ts';
import { holderOfSource } from './holders.ts';
import type { OciConfig } from './oci.ts';

/** The number of the process that has the mounts of a sandbox: PID 1 of its own namespace, started for that sandbox. */
function podOf(dataDir: string, id: string): number {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const words = text(`/proc/${name}/cmdline`).split('\0');
    const ours = words.includes(join(dataDir, 'mnt')) && words.some((word) => word.endsWith(`/${id}`));
    if (ours && /^NSpid:\t\d+\t1$/m.test(text(`/proc/${name}/status`))) return Number(name);
  }
  throw new Error(`no pod of sandbox ${id}`);
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // It ended meanwhile.
    return '';
  }
}

/** The config.json that a container of the product's own driver runs with. */
export async function runningConfig(bench: Bench): Promise<OciConfig> {
  const holder = await holderOfSource();
  const { dataDir } = bench;
  const spec = bench.spec();
  const sandbox = crunDriver({ dataDir, layersDir, holder, crun: '/usr/bin/crun' }).open(spec);
  try {
    await sandbox
      .start({ name: 'box', root: debian })
      .run({ args: ['/bin/true'], env: {}, cwd: '/' }, () => {});
    const root = `/proc/${podOf(dataDir, spec.id)}/root`;
    return JSON.parse(readFileSync(join(root, dataDir, 'mnt/c/box/config.json'), 'utf8'));
  } finally {
    await sandbox.destroy();
  }
}
