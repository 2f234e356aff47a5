import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type CgroupPlan, cgroupPlan, cgroupTree } from '../../runtime/crun/cgroup.ts';
import { chooseDisk, prepareDisk } from '../../runtime/crun/disk.ts';
import { holderCommand } from '../../runtime/crun/driver.ts';
import { rlimits } from '../../runtime/crun/rlimits.ts';
import { crunSandbox } from '../../runtime/crun/sandbox.ts';
import { seccompFilter } from '../../runtime/crun/seccomp/filter.ts';
import { containerSpec } from '../../runtime/crun/spec.ts';
import { createSpawner, type Spawner } from '../../runtime/crun/spawner.ts';
import { holderFile } from '../../runtime/host/holder.ts';
import type { SandboxDriver } from '../../runtime/sandbox.ts';
import { layersDir } from '../rootfs.ts';
import type { OciConfig } from './oci.ts';

/** What of a sandbox is other than in the product; nothing: it is the product's. */
export interface Weakening {
  readonly config?: (config: OciConfig) => OciConfig;
  readonly cgroups?: (plan: CgroupPlan) => CgroupPlan;
  /** A holder compiled from changed source. */
  readonly holder?: string;
}

const crun = '/usr/bin/crun';

/** One for each holder, for as long as this process lives. */
const spawners = new Map<string, Spawner>();

function spawnerOf(holder: string): Spawner {
  const spawner = spawners.get(holder) ?? createSpawner(holder);
  spawners.set(holder, spawner);
  return spawner;
}

/**
 * Sandboxes made of the same pure functions as those of runtime/crun/driver.ts, with what they make changed on its way to the
 * kernel. The product itself has no way to be weakened; core.test.ts sees that both give containers the same config.
 */
export function assemble(dataDir: string, weakening: Weakening): SandboxDriver {
  const directory = (name: string) => {
    const path = join(dataDir, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  };
  const mount = directory('mnt');
  const slots = directory('slots');
  const disks = directory('disks');
  const holder = weakening.holder ?? holderFile;
  const spawner = spawnerOf(holder);
  const cgroups = cgroupTree();
  const seccomp = seccompFilter(process.arch === 'arm64' ? 'arm64' : 'x64');
  const options = { dataDir, layersDir, holder, crun };

  return {
    open: (spec) => {
      const common = { mount, holder, seccomp, processors: availableParallelism() };
      const build = { ...common, places: [], rlimits: rlimits(spec.limits.openFiles) };
      const config: OciConfig = JSON.parse(JSON.stringify(containerSpec(build, 'writable')));
      const reader = { ...common, places: [], rlimits: rlimits(1024) };
      const plan = cgroupPlan(cgroups, spec.id, spec.limits);
      const disk = chooseDisk(spec.limits, disks);
      return crunSandbox(spec, {
        cgroups,
        layersDir,
        configs: {
          build: JSON.stringify(weakening.config?.(config) ?? config),
          reader: () => JSON.stringify(containerSpec(reader, 'readonly')),
          snapshot: () => '',
        },
        prepared: [prepareDisk(disk, spec.limits), spawner.ready()].filter((work) => work !== undefined),
        connect: () => spawner.connect(),
        holder: holderCommand(options, { mount, slots }, spec, disk, weakening.cgroups?.(plan) ?? plan),
        network: undefined,
      });
    },
  };
}
