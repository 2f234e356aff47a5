import { setImmediate } from 'node:timers/promises';
import {
  type Command,
  type Container,
  type Exit,
  type Sandbox,
  type SandboxDriver,
  SandboxError,
  type SandboxSpec,
  type Signal,
  type Sink,
} from '../sandbox.ts';
import { secretFileFault } from '../secret-files.ts';
import { seed, type Files } from './workspace.ts';

/** What a command does. */
interface Scripted {
  /** What it prints at once. */
  readonly output?: Iterable<string | Buffer>;
  /** How it ends when nothing ends it earlier; default: exit code 0. */
  readonly exit?: Exit;
  /** Files of the workspace as they are after it ended by itself; `undefined` removes one. */
  readonly writes?: Readonly<Record<string, string | Buffer | undefined>>;
  /** Time between its output and its end. */
  readonly delayMs?: number;
}

/** Stands for every program of every image. */
export type Script = (command: Command, workspace: Files) => Scripted;

/** Platform trouble to have: the message of the error, by the phase that fails. */
export type Failures = Partial<Record<'open' | 'start' | 'run', string>>;

/**
 * Sandboxes in memory, for tests of what stands above: the same lifecycle as real ones, but no processes and no
 * limits; only the script decides what happens.
 */
export function fakeDriver(script: Script, failures: Failures = {}): SandboxDriver {
  return { open: (spec) => fakeSandbox(spec, script, failures) };
}

/** What ended a command before its time: the exit code that a signal gives, or the end of the sandbox. */
type Ending = number | 'failure';

interface Box {
  state: 'running' | 'killed';
  /** Ends what runs in it, by command. */
  readonly endings: Map<(ending: Ending) => void, Command>;
}

const codes: Record<Signal, number> = { SIGINT: 130, SIGKILL: 137, SIGTERM: 143 };

function fakeSandbox(spec: SandboxSpec, script: Script, failures: Failures): Sandbox {
  const boxes = new Map<string, Box>();
  const files = new Map<string, Buffer>();
  let failure: SandboxError | undefined;
  let diskPeakBytes = 0;

  const fail = (error: SandboxError) => {
    failure ??= error;
    for (const { endings } of boxes.values()) for (const end of endings.keys()) end('failure');
  };
  const check = () => {
    if (failure) throw failure;
  };
  const stillRuns = () => [...boxes].find(([, { state }]) => state === 'running')?.[0];

  const collectable = () => {
    check();
    const name = stillRuns();
    if (name !== undefined) throw new SandboxError('collect', `container ${name} still runs`);
  };

  const play = async (box: Box, command: Command, sink: Sink): Promise<Exit> => {
    const {
      output = [],
      exit = { reason: 'exit', code: 0 },
      writes = {},
      delayMs = 0,
    } = script(command, files);
    const ended = Promise.withResolvers<Ending>();
    let ending: Ending | undefined;
    const end = (how: Ending) => {
      ending ??= how;
      ended.resolve(how);
    };
    box.endings.set(end, command);
    const timer = Promise.withResolvers<undefined>();
    try {
      // As in a real sandbox, nothing happens before run() returned.
      await setImmediate();
      for (const chunk of output) {
        if (ending) break;
        await sink(Buffer.from(chunk));
      }
      const clock = setTimeout(timer.resolve, delayMs, undefined);
      await Promise.race([timer.promise, ended.promise]);
      clearTimeout(clock);
    } catch (error) {
      fail(new SandboxError('run', 'the reader of the log failed', { cause: error }));
    } finally {
      box.endings.delete(end);
    }
    check();
    if (typeof ending === 'number') return { reason: 'exit', code: ending };
    for (const [path, content] of Object.entries(writes)) {
      if (content === undefined) files.delete(path);
      else files.set(path, Buffer.from(content));
    }
    diskPeakBytes = Math.max(
      diskPeakBytes,
      [...files.values()].reduce((sum, { length }) => sum + length, 0),
    );
    return exit;
  };

  if (failures.open !== undefined) fail(new SandboxError('open', failures.open));
  else {
    try {
      for (const [path, content] of seed(spec.workspace)) files.set(path, content);
    } catch (error) {
      fail(new SandboxError('open', `source ${spec.workspace.sources.join(' + ')}`, { cause: error }));
    }
  }

  return {
    start: ({ name }): Container => {
      const box: Box = { state: 'running', endings: new Map() };
      boxes.set(name, box);
      if (failures.start !== undefined) fail(new SandboxError('start', failures.start));
      const signal = (code: number, command?: Command) => {
        for (const [end, of] of box.endings) if (command === undefined || of === command) end(code);
      };
      return {
        run: async (command, sink) => {
          check();
          if (box.state === 'killed') throw new SandboxError('run', `container ${name} is gone`);
          const fault = secretFileFault(command);
          if (fault) throw fault;
          if (failures.run !== undefined) fail(new SandboxError('run', failures.run));
          check();
          return play(box, command, sink);
        },
        signal: (which, command) => signal(codes[which], command),
        kill: () => {
          box.state = 'killed';
          signal(codes.SIGKILL);
        },
      };
    },
    answers: async (_, signal) => {
      check();
      signal.throwIfAborted();
    },
    list: async (directories, limit) => {
      collectable();
      const below = (path: string) =>
        directories.some(
          (directory) => directory === '' || path === directory || path.startsWith(`${directory}/`),
        );
      return [...files]
        .filter(([path]) => below(path))
        .slice(0, limit)
        .map(([path, { length }]) => ({ path, size: length, mode: 0o644 }));
    },
    read: async (wanted, sink) => {
      collectable();
      for (const file of wanted) {
        const content = files.get(file.path);
        if (content?.length !== file.size) throw new SandboxError('collect', `${file.path} changed`);
        await sink.begin(file);
        if (content.length > 0) await sink.data(content);
        await sink.end();
      }
    },
    // Scripts write to the workspace only.
    snapshot: async () => {
      collectable();
      return { kind: 'unchanged' };
    },
    usage: async () => {
      check();
      return { cpuSeconds: 0, memoryPeakBytes: 0, diskPeakBytes };
    },
    destroy: async () => fail(new SandboxError('destroy', 'the sandbox was destroyed')),
  };
}
