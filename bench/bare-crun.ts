import { mkdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { run } from '../runtime/command.ts';
import { idRange } from '../runtime/crun/driver.ts';
import { rlimits } from '../runtime/crun/rlimits.ts';
import { seccompFilter } from '../runtime/crun/seccomp/filter.ts';
import { containerSpec } from '../runtime/crun/spec.ts';
import { holderFile } from '../runtime/host/holder.ts';
import { defaultLimits } from '../src/limits.ts';
import { path } from './cofferdam.ts';
import { type Contender, greeter, runPrinting, timeGreeting } from './greeting.ts';
import type { Site } from './site.ts';

/** Ids that no sandbox gets: the range below the first slot. */
const firstId = idRange.first - 65_536;

/**
 * `crun run` started from here, with the config.json of our containers: the same mounts, masks, capabilities and
 * cached filter, all namespaces its own, the root a directory that belongs to its ids. No ephemeral layer, no cgroups.
 */
export async function openBareCrun({ scratch, root }: Site): Promise<Contender> {
  const bundle = join(scratch, 'crun');
  const rootfs = join(bundle, 'rootfs');
  await mkdir(join(bundle, 'workspace'), { recursive: true });
  await run({ file: 'cp', args: ['-a', root, rootfs] });
  await mkdir(join(rootfs, 'workspace'), { recursive: true });
  await run({ file: 'chown', args: ['-R', '-h', `${firstId}:${firstId}`, bundle] });
  await writeFile(join(bundle, 'config.json'), JSON.stringify(config(bundle)));
  let count = 0;
  return {
    name: 'bare crun run',
    greet: () => {
      const id = `bench-${process.pid}-${count++}`;
      const state = join(scratch, 'crun-state');
      const args = ['--root', state, '--cgroup-manager=disabled', 'run', '--bundle', bundle, id];
      return timeGreeting((output) => runPrinting({ file: 'crun', args }, output));
    },
    close: () => rm(bundle, { recursive: true, force: true }),
  };
}

function config(bundle: string): object {
  const seccomp = seccompFilter(process.arch === 'arm64' ? 'arm64' : 'x64');
  const ours = containerSpec(
    {
      mount: bundle,
      holder: holderFile,
      places: [{ source: 'workspace', path: '/workspace', access: 'rw' }],
      seccomp,
      rlimits: rlimits(defaultLimits.openFiles),
      processors: availableParallelism(),
    },
    'writable',
  );
  const spec: { readonly process: object; readonly linux: object } = JSON.parse(JSON.stringify(ours));
  const map = [{ containerID: 0, hostID: firstId, size: 65_536 }];
  return {
    ...spec,
    hostname: 'cofferdam',
    process: { ...spec.process, args: greeter, env: [`PATH=${path}`] },
    linux: {
      ...spec.linux,
      namespaces: ['pid', 'mount', 'cgroup', 'user', 'network', 'ipc', 'uts'].map((type) => ({ type })),
      uidMappings: map,
      gidMappings: map,
    },
  };
}
