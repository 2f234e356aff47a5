import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crunDriver } from '../../runtime/crun/driver.ts';
import { debian, layersDir } from '../rootfs.ts';
import type { Bench } from './bench.ts';
import { holderOfSource } from './holders.ts';
import type { OciConfig } from './oci.ts';
import { podOf } from './view.ts';

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
