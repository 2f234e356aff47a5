import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

/** The only file that starts processes. A command is a value: built by pure functions, tested as argv. */
export interface ToolCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** Default: this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** A tool is missing, could not be started, or ended with an error. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  /** `missing`: no such program; `failed`: it ran and ended badly. */
  readonly kind: 'missing' | 'failed';
  readonly exitCode: number | undefined;
  /** The last part of what it wrote to stderr. */
  readonly stderr: string;

  constructor(
    command: ToolCommand,
    outcome: { kind: 'missing' | 'failed'; exitCode?: number | undefined; detail: string; stderr?: string },
    options?: ErrorOptions,
  ) {
    super(`${command.file}: ${outcome.detail}`, options);
    this.kind = outcome.kind;
    this.exitCode = outcome.exitCode;
    this.stderr = outcome.stderr ?? '';
  }
}

export interface RunOptions {
  /** Written to the command's stdin; default: no stdin. */
  readonly input?: Readable | Buffer;
  /** Receives stdout as it comes; when given, `stdout` of the result is empty. A returned promise is waited for. */
  readonly onStdout?: (chunk: Buffer) => void | Promise<void>;
  /** Receives stderr line by line, for progress. */
  readonly onStderrLine?: (line: string) => void;
  /** Kills the command (SIGTERM) when aborted. */
  readonly signal?: AbortSignal;
  /** Most bytes of stdout to keep; default 64 MiB, more is an error. */
  readonly maxStdout?: number;
}

export interface CommandResult {
  readonly stdout: Buffer;
  readonly stderr: string;
}

const stderrKept = 16 * 1024;

/** Starts a long-lived process whose streams and lifetime the caller owns. */
export function start(command: ToolCommand, options: SpawnOptions): ChildProcess {
  return spawn(command.file, [...command.args], {
    ...options,
    ...(command.env && { env: command.env }),
    ...(command.cwd !== undefined && { cwd: command.cwd }),
  });
}

/** Runs a command to its end. Throws CommandError unless it exits 0. */
export async function run(command: ToolCommand, options: RunOptions = {}): Promise<CommandResult> {
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
  const child = start(command, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(options.signal && { signal: options.signal }),
  });
  const chunks: Buffer[] = [];
  let kept = 0;
  let stderr = '';
  let line = '';
  let broken: Error | undefined;
  let consuming: Promise<void> = Promise.resolve();

  const breakOff = (error: unknown) => {
    broken ??= error instanceof Error ? error : new Error(String(error));
    child.kill();
    // Nobody reads on: else what it has written already, and whoever else writes there, would never end.
    child.stdout?.destroy();
  };

  const { stdin, stdout, stderr: errors } = child;
  if (stdin && options.input !== undefined) {
    // A command that stops reading early shows in its exit code; EPIPE here would only hide that.
    stdin.on('error', () => {});
    if (Buffer.isBuffer(options.input)) stdin.end(options.input);
    else options.input.on('error', breakOff).pipe(stdin);
  }
  stdout?.on('data', (chunk: Buffer) => {
    if (options.onStdout) {
      const pending = options.onStdout(chunk);
      if (pending) {
        stdout.pause();
        consuming = pending.then(() => void stdout.resume(), breakOff);
      }
      return;
    }
    kept += chunk.length;
    if (kept > (options.maxStdout ?? 64 * 1024 * 1024)) breakOff(new Error('it printed more than expected'));
    else chunks.push(chunk);
  });
  errors?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-stderrKept);
    if (!options.onStderrLine) return;
    const lines = (line + text).split(/\r?\n|\r/);
    line = lines.pop() ?? '';
    for (const each of lines) options.onStderrLine(each);
  });
  child.on('error', (error: NodeJS.ErrnoException) => {
    const missing = error.code === 'ENOENT';
    const detail = missing ? 'no such program on PATH' : error.message;
    reject(new CommandError(command, { kind: missing ? 'missing' : 'failed', detail }, { cause: error }));
  });
  child.on('close', (code, signal) => {
    consuming.then(() => {
      if (line && options.onStderrLine) options.onStderrLine(line);
      if (broken || code !== 0) {
        const last = stderr.trim().split('\n').at(-1) ?? '';
        const ended = broken?.message ?? (signal ? `ended by ${signal}` : `exit code ${code}`);
        const detail = last && !broken ? `${last} (${ended})` : ended;
        const cause = broken ? { cause: broken } : undefined;
        reject(
          new CommandError(command, { kind: 'failed', exitCode: code ?? undefined, detail, stderr }, cause),
        );
      } else resolve({ stdout: Buffer.concat(chunks), stderr });
    }, reject);
  });
  return promise;
}
