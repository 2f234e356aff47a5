import { isAbsolute, normalize } from 'node:path';
import {
  type Command,
  type Container,
  type ContainerSpec,
  type Exit,
  type Probe,
  type Sandbox,
  SandboxError,
  type SandboxSpec,
  type Sink,
} from '../sandbox.ts';
import { type CgroupTree, readConsumption, readRefusals, type Refusals } from './cgroup.ts';
import { exitOf } from './exit.ts';
import { listFiles, readFiles } from './files.ts';
import type { CommandEnd } from './holder.ts';
import { hostsFile } from './hosts-file.ts';
import { openPod, type PodParts } from './pod.ts';
import { volumeCopier } from './snapshot.ts';
import { initPath } from './spec.ts';
import { readerWorkspace } from './volumes.ts';

/** What the driver knows and every sandbox needs. */
export interface SandboxParts extends PodParts {
  readonly cgroups: CgroupTree;
  /** config.json of a build's container, and of our own. */
  readonly configs: {
    readonly build: string;
    readonly reader: () => string;
    /** Of the copier of a volume, by its number. */
    readonly snapshot: (volume: number) => string;
  };
}

/** No container of a build can have a name that begins so. */
const own = '_';
const readerName = `${own}reader`;
const proberName = `${own}prober`;

/** A sandbox made of the holder and crun; see runtime/sandbox.ts for the contract. */
export function crunSandbox(spec: SandboxSpec, parts: SandboxParts): Sandbox {
  const hidden = spec.workspace.hidden.map(inside);
  const pod = openPod(spec.id, parts);
  /** What was refused to containers when a command of theirs ended last. */
  const refused = new Map<string, Refusals>();

  if (hidden.length > 0) pod.send('hide', ...hidden);
  for (const { path, lock = '', layers } of spec.volumes ?? []) pod.send('volume', path, lock, ...layers);

  /** The reader of artifacts, when it is first needed: no image, the workspace read-only, outside the limits. */
  const reader = async (verb: readonly string[], sink: Sink): Promise<void> => {
    await pod.rest();
    if (!pod.has(readerName)) {
      pod.start({ name: readerName, place: 'reader', config: parts.configs.reader() });
    }
    const [operation, ...words] = verb;
    const end = await pod.run(
      readerName,
      { args: [initPath, operation ?? '', readerWorkspace, ...words], env: {}, cwd: '/' },
      sink,
    );
    if (end.status !== 0)
      throw new SandboxError('collect', `reading the workspace failed (status ${end.status})`);
  };

  /** In a container like the reader's, from the first question on. */
  const answers = async (probe: Probe, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    if (!pod.has(proberName)) {
      pod.start({ name: proberName, place: 'trusted', config: parts.configs.reader() });
    }
    const words = probe.kind === 'http' ? [probe.path] : [];
    const command: Command = {
      args: [initPath, 'probe', probe.kind, String(probe.port), ...words],
      env: {},
      cwd: '/',
    };
    const onAbort = () => pod.signal(proberName, 'SIGKILL', command);
    signal.addEventListener('abort', onAbort);
    try {
      const { status } = await pod.run(proberName, command, () => {});
      signal.throwIfAborted();
      if (status !== 0) throw new SandboxError('run', `asking port ${probe.port} failed (status ${status})`);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  };

  const counted = <Counters>(read: (tree: CgroupTree, id: string) => Counters): Counters => {
    pod.throwIfFailed();
    try {
      return read(parts.cgroups, spec.id);
    } catch (error) {
      throw new SandboxError('run', `the cgroups of sandbox ${spec.id} are gone`, { cause: error });
    }
  };

  /**
   * To which of several commands of a container something was refused nobody knows: it is held against the first that
   * fails, or else the last.
   */
  const judge = (container: string, end: CommandEnd): Exit => {
    const before = refused.get(container) ?? { oomKills: 0, pidsRefused: 0 };
    const after = counted((tree, id) => readRefusals(tree, id, container));
    if (end.status === 0 && pod.isBusy(container)) return exitOf(end, after, after);
    refused.set(container, after);
    return exitOf(end, before, after);
  };

  return {
    start: (container: ContainerSpec): Container => {
      const { name, root } = container;
      if (!/^[a-z0-9-]{1,32}$/.test(name)) {
        throw new SandboxError('start', `not a name of a container: ${name}`);
      }
      pod.start({ name, place: 'limited', config: parts.configs.build, hosts: hostsFile(container), root });
      return {
        run: async (command, sink) => judge(name, await pod.run(name, command, sink)),
        signal: (signal, command) => pod.signal(name, signal, command),
        kill: () => pod.kill(name),
      };
    },
    answers,
    list: (directories, limit) => listFiles(reader, directories, limit),
    read: (files, sink) => readFiles(reader, files, sink),
    snapshot: volumeCopier(spec, async (number, directory, args, sink) => {
      await pod.rest();
      const name = `${own}copier-${number}`;
      pod.send('target', String(number), directory);
      pod.start({ name, place: 'trusted', config: parts.configs.snapshot(number) });
      const { status } = await pod.run(name, { args, env: {}, cwd: '/' }, sink);
      return status;
    }),
    usage: async () => {
      const diskPeakBytes = await pod.diskPeakBytes();
      return { ...counted(readConsumption), diskPeakBytes };
    },
    destroy: () => pod.destroy(),
  };
}

/** A path of the workspace that cannot lead out of it. */
function inside(path: string): string {
  const normal = normalize(path).replace(/\/$/, '');
  if (isAbsolute(normal) || normal === '..' || normal.startsWith('../') || normal === '.') {
    throw new SandboxError('open', `not a path below the workspace: ${path}`);
  }
  return normal;
}
