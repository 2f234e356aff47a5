import type { Socket } from 'node:net';
import { relative } from 'node:path';
import type { ToolCommand } from '../command.ts';
import { type Command, type RootLayers, SandboxError, type Signal, type Sink } from '../sandbox.ts';
import { secretFileFault } from '../secret-files.ts';
import { type CommandEnd, type Holder, startHolder } from './holder.ts';
import type { SandboxNetwork } from './network.ts';

/** What a pod is made of. */
export interface PodParts {
  readonly layersDir: string;
  /** Starts the holder, once these have resolved; none: at once. */
  readonly prepared: readonly Promise<void>[];
  /** A stream to a new holder. */
  readonly connect: () => Socket;
  readonly holder: ToolCommand;
  /** Undefined: the loopback alone. What it asks of the holder comes when that is started. */
  readonly network: SandboxNetwork | undefined;
}

/** A container as the holder is asked for it; see runtime/crun/holder/pod.c. */
export interface PodContainer {
  readonly name: string;
  /** `limited`: the build's, in its cgroups; the others are ours, and outside: `reader` sees the workspace. */
  readonly place: 'limited' | 'reader' | 'trusted';
  /** config.json. */
  readonly config: string;
  /** The text of its /etc/hosts. */
  readonly hosts?: string;
  readonly root?: RootLayers;
}

/** Containers, and commands in them. The first failure stays; all that waits, or will wait, rejects with it. */
export interface Pod {
  /** Queues a message to the holder until the sandbox can take it. */
  send(...words: readonly string[]): void;
  start(container: PodContainer): void;
  has(container: string): boolean;
  /** Resolves with the end of a command, after all its output. */
  run(container: string, command: Command, sink: Sink): Promise<CommandEnd>;
  /** To all of a container, or to one command that runs in it. */
  signal(container: string, signal: Signal, command?: Command): void;
  kill(container: string): void;
  /** Whether a command runs in the container. */
  isBusy(container: string): boolean;
  /** Resolves when no process of the build is left; rejects while one of its containers was not killed. */
  rest(): Promise<void>;
  /** Resolves with the most that was on the ephemeral layer, as far as is known. */
  diskPeakBytes(): Promise<number>;
  /** Throws the failure, if there is one. */
  throwIfFailed(): void;
  /** Resolves when nothing is left. Throws SandboxError when that takes too long. */
  destroy(): Promise<void>;
}

const destroyTimeoutMs = 15_000;

interface Running {
  readonly container: string;
  readonly command: Command;
  readonly sink: Sink;
  readonly done: PromiseWithResolvers<CommandEnd>;
}

interface Box {
  readonly place: PodContainer['place'];
  state: 'running' | 'killed' | 'gone';
  /** Resolves when no process of it is left. */
  readonly gone: PromiseWithResolvers<void>;
}

/** Starts the holder of a sandbox, as soon as all is there that it needs. */
export function openPod(id: string, parts: PodParts): Pod {
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
  let network: 'closed' | 'open' = parts.network ? 'closed' : 'open';

  const send = (...words: readonly string[]) => {
    if (holder && network === 'open') holder.send(...words);
    else queue.push(words);
  };

  const flush = () => {
    if (holder && network === 'open') for (const words of queue.splice(0)) holder.send(...words);
  };

  const fail = (error: SandboxError) => {
    failure ??= error;
    for (const { done } of running.values()) done.reject(failure);
    for (const container of containers.values()) container.gone.resolve();
    for (const usage of usages.splice(0)) usage.reject(failure);
    running.clear();
    parts.network?.close();
    holder?.close();
  };

  const cannotMake = (what: string, error: unknown) => {
    const message = `cannot make ${what} of the sandbox: ${messageOf(error)}`;
    fail(error instanceof SandboxError ? error : new SandboxError('open', message, { cause: error }));
  };

  /** Nothing of the build runs before somebody answers it and the firewall stands. */
  const openNetwork = (number: number) => {
    parts.network?.open(number).then(
      () => {
        network = 'open';
        flush();
      },
      (error: unknown) => cannotMake('the network', error),
    );
  };

  const start = (link: readonly string[]) => {
    if (state !== 'open') return gone.resolve();
    if (link.length === 0) network = 'open';
    const command = { ...parts.holder, args: [...parts.holder.args, ...link] };
    holder = startHolder(parts.connect(), command, {
      output: (run, chunk) => running.get(run)?.sink(chunk),
      end: (run, end) => {
        diskPeakBytes = Math.max(diskPeakBytes, end.diskPeakBytes);
        running.get(run)?.done.resolve(end);
        running.delete(run);
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

  if (parts.network || parts.prepared.length > 0) {
    Promise.all([parts.network?.options ?? [], ...parts.prepared]).then(
      ([options]) => start(options),
      (error: unknown) => {
        cannotMake('the disk', error);
        gone.resolve();
      },
    );
  } else start([]);

  return {
    send,
    start: ({ name, place, config, hosts = '', root }) => {
      containers.set(name, { place, state: 'running', gone: Promise.withResolvers() });
      const layers = (root?.layers ?? []).map((layer) => relative(parts.layersDir, layer));
      send('container', name, place, config, hosts, root?.lock ?? '', ...layers);
    },
    has: (container) => containers.has(container),
    run: (container, command, sink) => {
      const fault =
        failure ??
        (containers.get(container)?.state === 'running' ? undefined : goneError(container)) ??
        faultOf(command);
      if (fault) return Promise.reject(fault);
      const run = nextId++;
      const done = Promise.withResolvers<CommandEnd>();
      running.set(run, { container, command, sink, done });
      send('run', String(run), container, ...wordsOf(command));
      return done.promise;
    },
    signal: (container, signal, command) => {
      const found = [...running].find(([, its]) => its.container === container && its.command === command);
      const run = command === undefined ? 0 : found?.[0];
      if (run !== undefined) send('signal', container, String(signals[signal]), String(run));
    },
    kill: (name) => {
      const container = containers.get(name);
      if (!container) return;
      if (container.state === 'running') container.state = 'killed';
      send('kill', name);
    },
    isBusy: (container) => [...running.values()].some((each) => each.container === container),
    rest: async () => {
      for (const [name, box] of containers) {
        if (box.place !== 'limited') continue;
        if (box.state === 'running') throw new SandboxError('collect', `container ${name} still runs`);
        await box.gone.promise;
      }
    },
    diskPeakBytes: async () => {
      if (failure) throw failure;
      const usage = Promise.withResolvers<number>();
      usages.push(usage);
      send('usage');
      diskPeakBytes = Math.max(diskPeakBytes, await usage.promise);
      return diskPeakBytes;
    },
    throwIfFailed: () => {
      if (failure) throw failure;
    },
    destroy: async () => {
      if (state === 'open') {
        state = 'closing';
        fail(new SandboxError('destroy', 'the sandbox was destroyed'));
      }
      const timer = setTimeout(() => {
        const seconds = destroyTimeoutMs / 1000;
        gone.reject(new SandboxError('destroy', `sandbox ${id} did not end within ${seconds} s`));
      }, destroyTimeoutMs);
      try {
        await gone.promise;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

const signals: Readonly<Record<Signal, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

function goneError(container: string): SandboxError {
  return new SandboxError('run', `container ${container} is gone`);
}

function faultOf(command: Command): SandboxError | undefined {
  if (wordsOf(command).some((word) => word.includes('\0'))) {
    return new SandboxError('run', 'a command, its directory and environment cannot contain NUL');
  }
  return secretFileFault(command);
}

/** A command in the words of the message `run`. */
function wordsOf({ args, env, cwd, user = '', secrets = {} }: Command): string[] {
  const files = Object.entries(secrets).flat();
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return [cwd, user, String(args.length), ...args, ...variables, ...(files.length > 0 ? ['', ...files] : [])];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
