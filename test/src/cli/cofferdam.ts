import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll } from 'vitest';
import { start } from '../../../runtime/command.ts';
import { testData } from '../../rootfs.ts';
import { temporaryDirectory, useDirectory } from '../../workers/directory.ts';
import type { BuildRecord } from '../../../src/build.ts';

/** The command, as users of a clone start it. */
export const command = join(import.meta.dirname, '../../../bin/cofferdam');

/** What the builds of these tests run in. Made once, and kept for later test runs. */
export const image = 'bootstrap:bookworm';

/** Where images stay. */
export const dataDir = join(testData, 'data');

export interface Shown {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface Started {
  readonly pid: number;
  /** Resolves when stdout or stderr has the text. */
  said(text: string): Promise<void>;
  readonly ended: Promise<Shown>;
  /** The most memory it had so far, in bytes. */
  memoryPeakBytes(): number;
}

interface StartOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** How long to leave what it writes unread, at first and after each chunk, in milliseconds. */
  readonly slowness?: { readonly first: number; readonly each: number };
}

const running = new Set<number>();

/** Ends what a test that failed left behind. */
export function killRunning(): void {
  for (const pid of running) process.kill(pid, 'SIGKILL');
}

/** Starts the command in a process group of its own, as a shell does. */
export function startCofferdam(args: readonly string[], options: StartOptions = {}): Started {
  const { cwd = '/', env = {}, slowness } = options;
  mkdirSync(dataDir, { recursive: true });
  const child = start(
    { file: command, args, cwd, env: { ...process.env, COFFERDAM_DATA: dataDir, ...env } },
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  const { stdout, stderr, pid } = child;
  if (!stdout || !stderr || pid === undefined) throw new Error('it was started without pipes');
  running.add(pid);
  child.on('exit', () => running.delete(pid));
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const waiting = new Set<() => void>();
  const read = async () => {
    if (slowness) await sleep(slowness.first);
    for await (const chunk of stdout) {
      out.push(chunk);
      for (const look of waiting) look();
      if (slowness) await sleep(slowness.each);
    }
  };
  let peak = 0;
  stderr.on('data', (chunk: Buffer) => {
    err.push(chunk);
    for (const look of waiting) look();
  });
  const ended = Promise.all([once(child, 'close'), read()]).then(() => ({
    code: child.exitCode,
    stdout: Buffer.concat(out),
    stderr: Buffer.concat(err).toString(),
  }));
  return {
    pid,
    ended,
    said: (text) =>
      new Promise((resolve) => {
        const look = () => {
          if (![out, err].some((chunks) => Buffer.concat(chunks).includes(text))) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    memoryPeakBytes: () => {
      try {
        const peakKiB = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
        peak = Math.max(peak, Number(peakKiB ?? 0) * 1024);
      } catch {
        // It has ended.
      }
      return peak;
    },
  };
}

/** Runs the command to its end. */
export function cofferdam(args: readonly string[], options: StartOptions = {}): Promise<Shown> {
  return startCofferdam(args, options).ended;
}

/** `run` of a shell script in the image, with an empty source. */
export function script(text: string, ...options: readonly string[]): readonly string[] {
  return ['run', ...options, '--image', image, emptySource, '--', 'sh', '-c', text];
}

const emptySource = join(testData, 'empty');

/** Makes the image, when this machine has none yet. */
export async function makeImage(): Promise<void> {
  mkdirSync(emptySource, { recursive: true });
  using none = temporaryDirectory();
  const { code, stderr } = await cofferdam(['run', '--image', image, none.path, '--', 'true']);
  if (code !== 0) throw new Error(stderr);
}

/** A source for each test of a file, its workflow in the image, and `run` of it. */
export function useSource() {
  const source = useDirectory();
  beforeAll(makeImage, 300_000);
  return {
    source,
    workflow: (text: string) => source.write({ '.cofferdam.yaml': `image: ${image}\n${text}` }),
    runSource: (...options: readonly string[]) => cofferdam(['run', ...options, source.path]),
  };
}

export interface BuildEvent {
  readonly type: string;
  readonly status?: string;
  readonly data?: string;
  readonly base64?: string;
  readonly record?: BuildRecord;
}

/** The NDJSON that a build wrote. */
export function eventsOf(stdout: Buffer): BuildEvent[] {
  const lines = stdout.toString().trimEnd().split('\n');
  return lines.map((line): BuildEvent => JSON.parse(line));
}
