import { mkdirSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import type { ToolCommand } from '../command.ts';
import { type Limits, type SandboxDriver, SandboxError, type SandboxSpec } from '../sandbox.ts';
import { type CgroupPlan, cgroupPlan, cgroupTree, sweepCgroups } from './cgroup.ts';
import { chooseDisk, type Disk, prepareDisk } from './disk.ts';
import { atLeast } from '../host/version.ts';
import { createNetworks, type NetworkOptions } from './network.ts';
import { rlimits } from './rlimits.ts';
import { crunSandbox } from './sandbox.ts';
import { seccompFilter } from './seccomp/filter.ts';
import { containerSpec, type Place } from './spec.ts';
import { createSpawner } from './spawner.ts';
import { checkPaths, snapshotPlaces } from './volumes.ts';

export interface CrunOptions {
  /** State of this machine: locks of id ranges, disk templates, the mount point. */
  readonly dataDir: string;
  /** Parent of all layers (see ImageStore). */
  readonly layersDir: string;
  /** The compiled holder. */
  readonly holder: string;
  /** Absolute path of crun. */
  readonly crun: string;
  /** How layers are handed to overlayfs; default by the kernel's version. */
  readonly overlay?: Overlay;
  readonly network?: NetworkOptions;
}

/** `layerwise`: one after another (Linux 6.5); `classic`: all in one page of options. */
export type Overlay = 'layerwise' | 'classic';

/** 4096 ranges of 65,536 ids that no account gets: above those of systemd-nspawn, below 2^31. */
export const idRange = { first: 0x7000_0000, slots: 4096 } as const;

/** Descriptors of the reader, which has one open for each level of directories, and of the copier, which has two. */
const ownFiles = 1024;

/** Sandboxes by crun and the holder, for root on Linux. Throws CgroupError where builds cannot be limited. */
export function crunDriver(options: CrunOptions): SandboxDriver {
  const cgroups = cgroupTree();
  const directory = (name: string) => {
    const path = join(options.dataDir, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  };
  const mount = directory('mnt');
  const slots = directory('slots');
  const disks = directory('disks');
  const seccomp = seccompFilter(architecture());
  const spawner = createSpawner(options.holder);
  const networks = createNetworks(options.network ?? {});
  sweepCgroups(cgroups);

  const makeConfig = (openFiles: number, places: readonly Place[], root: Root) =>
    JSON.stringify(
      containerSpec(
        {
          mount,
          holder: options.holder,
          places,
          seccomp,
          rlimits: rlimits(openFiles),
          processors: availableParallelism(),
        },
        root,
      ),
    );
  /** Most builds ask for the same. */
  let last = { openFiles: 0, config: '' };
  const buildConfig = ({ openFiles }: Limits): string => {
    if (last.openFiles !== openFiles) last = { openFiles, config: makeConfig(openFiles, [], 'writable') };
    return last.config;
  };
  const own = (places: readonly Place[]) => makeConfig(ownFiles, places, 'readonly');
  const reader = own([]);

  return {
    open: (spec) => {
      check(spec);
      const disk = chooseDisk(spec.limits, disks);
      const plan = cgroupPlan(cgroups, spec.id, spec.limits);
      return crunSandbox(spec, {
        cgroups,
        layersDir: options.layersDir,
        configs: {
          build: buildConfig(spec.limits),
          reader: () => reader,
          snapshot: (number) => own(snapshotPlaces(number)),
        },
        prepared: [prepareDisk(disk, spec.limits), spawner.ready()].filter((work) => work !== undefined),
        connect: () => spawner.connect(),
        holder: holderCommand(options, { mount, slots }, spec, disk, plan),
        network: networks.of(spec.network ?? { kind: 'none' }, spec.notice ?? (() => {})),
      });
    },
  };
}

type Root = 'writable' | 'readonly';

function check(spec: SandboxSpec): void {
  if (!/^[a-zA-Z0-9-]{1,64}$/.test(spec.id)) throw new SandboxError('open', `not a sandbox id: ${spec.id}`);
  checkPaths(spec);
}

/** The holder's command line; see runtime/crun/holder/open.c. */
export function holderCommand(
  options: CrunOptions,
  directories: { readonly mount: string; readonly slots: string },
  spec: SandboxSpec,
  disk: Disk,
  cgroups: CgroupPlan,
): ToolCommand {
  return {
    file: options.holder,
    args: [
      ['open', '--mount', directories.mount],
      ['--crun', options.crun],
      ['--layers', options.layersDir],
      ['--slots', directories.slots, String(idRange.first), String(idRange.slots)],
      ['--workspace', spec.workspace.path],
      disk.kind === 'tmpfs'
        ? ['--tmpfs', String(disk.bytes), String(disk.inodes)]
        : ['--ext4', disk.template],
      ...spec.workspace.sources.map((directory) => ['--source', directory]),
      ...(spec.workspace.locks ?? []).map((file) => ['--lock', file]),
      (options.overlay ?? overlayOf(release())) === 'classic' ? ['--classic-overlay'] : [],
      ...cgroups.directories.map((path) => ['--cgroup', path]),
      ...cgroups.settings.map(([file, value]) => ['--set', file, value]),
      ...cgroups.join.map((file) => ['--join', file]),
      ...cgroups.each.map((directory) => ['--each', directory, cgroups.eachFile]),
    ].flat(),
    env: {},
  };
}

function overlayOf(kernelRelease: string): Overlay {
  return atLeast(kernelRelease, '6.5') ? 'layerwise' : 'classic';
}

function architecture(): 'x64' | 'arm64' {
  if (process.arch === 'x64' || process.arch === 'arm64') return process.arch;
  throw new SandboxError('open', `no seccomp filter for ${process.arch}; x86-64 and arm64 are supported`);
}
