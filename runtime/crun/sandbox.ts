import type { Socket } from 'node:net';
import { isAbsolute, normalize, relative } from 'node:path';
import type { ToolCommand } from '../command.ts';
import {
  type Command,
  type Container,
  type ContainerSpec,
  type Exit,
  type Probe,
  type RootLayers,
  type Sandbox,
  SandboxError,
  type SandboxSpec,
  type Sink,
} from '../sandbox.ts';
import { type CgroupTree, readConsumption, readRefusals, type Refusals } from './cgroup.ts';
import { exitOf } from './exit.ts';
import { listFiles, readFiles } from './files.ts';
import { type CommandEnd, type Holder, startHolder } from './holder.ts';
import { hostsFile } from './hosts-file.ts';
import type { SandboxNetwork } from './network.ts';
import { secretFileFault } from '../secret-files.ts';
import { initPath } from './spec.ts';
import { volumeCopier } from './snapshot.ts';
import { readerWorkspace } from './volumes.ts';

/** What the driver knows and every sandbox needs. */
export interface SandboxParts {
  readonly cgroups: CgroupTree;
  readonly layersDir: string;
  /** config.json of a build's container, and of our own. */
  readonly configs: {
    readonly build: string;
    readonly reader: () => string;
    /** Of the copier of a volume, by its number. */
    readonly snapshot: (volume: number) => string;
  };
  /** Starts the holder, once these have resolved; none: at once. */
  readonly prepared: readonly Promise<void>[];
  /** A stream to a new holder. */
  readonly connect: () => Socket;
  readonly holder: ToolCommand;
  /** Undefined: the loopback alone. What it asks of the holder comes when that is started. */
  readonly network: SandboxNetwork | undefined;
}

const destroyTimeoutMs = 15_000;

/** No container of a build can have a name that begins so. */
const own = '_';
const readerName = `${own}reader`;
const proberName = `${own}prober`;

interface Running {
  readonly container: string;
  readonly command: Command;
  readonly sink: Sink;
  readonly done: PromiseWithResolvers<CommandEnd>;
}

interface Box {
  state: 'running' | 'killed' | 'gone';
  /** Resolves when no process of it is left. */
  readonly gone: PromiseWithResolvers<void>;
}

/** A sandbox made of the holder and crun; see runtime/sandbox.ts for the contract. */
export function crunSandbox(spec: SandboxSpec, parts: SandboxParts): Sandbox {
  const running = new Map<number, Running>();
  const containers = new Map<string, Box>();
  const gone = Promise.withResolvers<void>();
  const usages: PromiseWithResolvers<number>[] = [];
  const queue: (readonly string[])[] = [];
  let holder: Holder | undefined;
  let state: 'open' | 'closing' | 'gone' = 'open';
  let failure: SandboxError | undefined;
  let diskPeakBytes = 0;
  let nextId = 1;
  /** What was refused to containers when a command of theirs ended last. */
  const refused = new Map<string, Refusals>();
  let network: 'closed' | 'open' = parts.network ? 'closed' : 'open';

  const send = (...words: readonly string[]) => {
    if (holder && network === 'open') holder.send(...words);
    else queue.push(words);
  };

  const flush = () => {
    if (holder && network === 'open') for (const words of queue.splice(0)) holder.send(...words);
  };

  /** Nothing of the build runs before somebody answers it and the firewall stands. */
  const openNetwork = (number: number) => {
    parts.network?.open(number).then(
      () => {
        network = 'open';
        flush();
      },
      (error: unknown) => {
        const message = `cannot make the network of the sandbox: ${messageOf(error)}`;
        fail(error instanceof SandboxError ? error : new SandboxError('open', message, { cause: error }));
      },
    );
  };

  /** The first failure stays; all that waits, or will wait, gets it. */
  const fail = (error: SandboxError) => {
    failure ??= error;
    for (const { done } of running.values()) done.reject(failure);
    for (const container of containers.values()) container.gone.resolve();
    for (const usage of usages.splice(0)) usage.reject(failure);
    running.clear();
    parts.network?.close();
    holder?.close();
  };

  const start = (link: readonly string[]) => {
    if (state !== 'open') return gone.resolve();
    if (link.length === 0) network = 'open';
    const command = { ...parts.holder, args: [...parts.holder.args, ...link] };
    holder = startHolder(parts.connect(), command, {
      output: (id, chunk) => running.get(id)?.sink(chunk),
      end: (id, end) => {
        diskPeakBytes = Math.max(diskPeakBytes, end.diskPeakBytes);
        running.get(id)?.done.resolve(end);
        running.delete(id);
      },
      containerGone: (name) => {
        const container = containers.get(name);
        if (!container) return;
        container.state = 'gone';
        container.gone.resolve();
      },
      usage: (bytes) => usages.shift()?.resolve(bytes),
      network: openNetwork,
      failure: (message, cause) => fail(new SandboxError('start', message, { cause })),
      exit: () => {
        fail(new SandboxError('run', 'the sandbox ended by itself: its holder was killed'));
        state = 'gone';
        gone.resolve();
      },
    });
    flush();
  };

  const hidden = spec.workspace.hidden.map(inside);
  if (parts.network || parts.prepared.length > 0) {
    const link = parts.network?.options ?? [];
    Promise.all([link, ...parts.prepared]).then(
      ([options]) => start(options),
      (error: unknown) => {
        const message = `cannot make the disk of the sandbox: ${messageOf(error)}`;
        fail(error instanceof SandboxError ? error : new SandboxError('open', message, { cause: error }));
        gone.resolve();
      },
    );
  } else start([]);
  if (hidden.length > 0) send('hide', ...hidden);
  for (const { path, lock = '', layers } of spec.volumes ?? []) send('volume', path, lock, ...layers);

  const launch = (container: string, command: Command, sink: Sink): Promise<CommandEnd> => {
    if (failure) return Promise.reject(failure);
    if (containers.get(container)?.state !== 'running') {
      return Promise.reject(new SandboxError('run', `container ${container} is gone`));
    }
    const { args, env, cwd, user = '', secrets = {} } = command;
    const files = Object.entries(secrets).flat();
    const words = [
      cwd,
      user,
      String(args.length),
      ...args,
      ...Object.entries(env).map(([k, v]) => `${k}=${v}`),
      ...(files.length > 0 ? ['', ...files] : []),
    ];
    if (words.some((word) => word.includes('\0'))) {
      return Promise.reject(
        new SandboxError('run', 'a command, its directory and environment cannot contain NUL'),
      );
    }
    const fault = secretFileFault(command);
    if (fault) return Promise.reject(fault);
    const id = nextId++;
    const done = Promise.withResolvers<CommandEnd>();
    running.set(id, { container, command, sink, done });
    send('run', String(id), container, ...words);
    return done.promise;
  };

  const startContainer = (
    name: string,
    place: 'limited' | 'reader' | 'trusted',
    config: string,
    hosts: string,
    root?: RootLayers,
  ) => {
    containers.set(name, { state: 'running', gone: Promise.withResolvers() });
    const layers = (root?.layers ?? []).map((layer) => relative(parts.layersDir, layer));
    send('container', name, place, config, hosts, root?.lock ?? '', ...layers);
  };

  const stop = (name: string): void => {
    const container = containers.get(name);
    if (!container) return;
    if (container.state === 'running') container.state = 'killed';
    send('kill', name);
  };

  const idOf = (container: string, command: Command): number | undefined => {
    const found = [...running].find(([, its]) => its.container === container && its.command === command);
    return found?.[0];
  };

  /** Nothing writes any more. */
  const rest = async (): Promise<void> => {
    for (const [name, { state: its, gone: end }] of containers) {
      if (name.startsWith(own)) continue;
      if (its === 'running') throw new SandboxError('collect', `container ${name} still runs`);
      await end.promise;
    }
  };

  /** The reader of artifacts, when it is first needed: no image, the workspace read-only, outside the limits. */
  const reader = async (verb: readonly string[], sink: Sink): Promise<void> => {
    await rest();
    if (!containers.has(readerName)) startContainer(readerName, 'reader', parts.configs.reader(), '');
    const [operation, ...words] = verb;
    const end = await launch(
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
    if (!containers.has(proberName)) startContainer(proberName, 'trusted', parts.configs.reader(), '');
    const words = probe.kind === 'http' ? [probe.path] : [];
    const command: Command = {
      args: [initPath, 'probe', probe.kind, String(probe.port), ...words],
      env: {},
      cwd: '/',
    };
    const onAbort = () => {
      const id = idOf(proberName, command);
      if (id !== undefined) send('signal', proberName, String(signals.SIGKILL), String(id));
    };
    signal.addEventListener('abort', onAbort);
    try {
      const { status } = await launch(proberName, command, () => {});
      signal.throwIfAborted();
      if (status !== 0) throw new SandboxError('run', `asking port ${probe.port} failed (status ${status})`);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  };

  const counted = <Counters>(read: (tree: CgroupTree, id: string) => Counters): Counters => {
    if (failure) throw failure;
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
    const others = [...running.values()].some((each) => each.container === container);
    if (others && end.status === 0) return exitOf(end, after, after);
    refused.set(container, after);
    return exitOf(end, before, after);
  };

  return {
    start: (container: ContainerSpec): Container => {
      const { name, root } = container;
      if (!/^[a-z0-9-]{1,32}$/.test(name)) {
        throw new SandboxError('start', `not a name of a container: ${name}`);
      }
      startContainer(name, 'limited', parts.configs.build, hostsFile(container), root);
      return {
        run: async (command, sink) => judge(name, await launch(name, command, sink)),
        signal: (signal, command) => {
          const id = command === undefined ? 0 : idOf(name, command);
          if (id !== undefined) send('signal', name, String(signals[signal]), String(id));
        },
        kill: () => stop(name),
      };
    },
    answers,
    list: (directories, limit) => listFiles(reader, directories, limit),
    read: (files, sink) => readFiles(reader, files, sink),
    snapshot: volumeCopier(spec, async (number, directory, args, sink) => {
      await rest();
      const name = `${own}copier-${number}`;
      send('target', String(number), directory);
      startContainer(name, 'trusted', parts.configs.snapshot(number), '');
      const { status } = await launch(name, { args, env: {}, cwd: '/' }, sink);
      return status;
    }),
    usage: async () => {
      if (failure) throw failure;
      const usage = Promise.withResolvers<number>();
      usages.push(usage);
      send('usage');
      diskPeakBytes = Math.max(diskPeakBytes, await usage.promise);
      return { ...counted(readConsumption), diskPeakBytes };
    },
    destroy: async () => {
      if (state === 'open') {
        state = 'closing';
        fail(new SandboxError('destroy', 'the sandbox was destroyed'));
      }
      const timer = setTimeout(() => {
        gone.reject(
          new SandboxError('destroy', `sandbox ${spec.id} did not end within ${destroyTimeoutMs / 1000} s`),
        );
      }, destroyTimeoutMs);
      try {
        await gone.promise;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

const signals = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 } as const;

/** A path of the workspace that cannot lead out of it. */
function inside(path: string): string {
  const normal = normalize(path).replace(/\/$/, '');
  if (isAbsolute(normal) || normal === '..' || normal.startsWith('../') || normal === '.') {
    throw new SandboxError('open', `not a path below the workspace: ${path}`);
  }
  return normal;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
