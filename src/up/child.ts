import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Journal } from './journal.ts';

/** A process that is kept running. */
export interface Child {
  /** Sends a signal; from the first one on the process is not started again. */
  stop(signal: NodeJS.Signals): void;
  /** Resolves when it was stopped and has ended. Rejects with ChildError when it will not come up. */
  readonly ended: Promise<void>;
}

/** A process ends again and again before it has ever worked; the message has its last words. */
export class ChildError extends Error {
  override readonly name = 'ChildError';
}

export interface ChildOptions {
  readonly name: string;
  /** Starts it, with pipes for stdin, stdout and stderr. Its stdin stays open for as long as this process lives. */
  readonly launch: () => ChildProcess;
  readonly journal: Journal;
  /** Told each entry of its log. */
  readonly onEntry?: (entry: ReturnType<Journal['line']>) => void;
  readonly pace?: Pace;
}

/** Milliseconds, and a number of times. */
interface Pace {
  /** Who ran for this long has come up. */
  readonly settledMs: number;
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** Tries until the first one comes up: what is left of a killed predecessor may be in the way for a while. */
  readonly tries: number;
}

const defaultPace: Pace = { settledMs: 5_000, firstDelayMs: 200, longestDelayMs: 10_000, tries: 6 };

/** Starts a process, again and again when it ends by itself, ever more slowly while it does not stay. */
export function keepRunning({ name, launch, journal, onEntry, pace = defaultPace }: ChildOptions): Child {
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  let current: ChildProcess | undefined;
  let again: NodeJS.Timeout | undefined;
  let stopping = false;
  let everSettled = false;
  let failures = 0;

  const run = () => {
    again = undefined;
    const child = launch();
    current = child;
    const began = performance.now();
    let lastWords = '';
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on('line', (line) => {
        const entry = journal.line(name, line);
        if (entry.level >= 50) lastWords = entry.msg;
        onEntry?.(entry);
      });
    }
    child.stdin?.on('error', () => {});
    child.once('error', (error) => {
      lastWords = error.message;
    });
    child.once('close', (code, signal) => {
      current = undefined;
      if (stopping) return resolve();
      const settled = performance.now() - began >= pace.settledMs;
      everSettled ||= settled;
      failures = settled ? 1 : failures + 1;
      const how = signal ? `ended by ${signal}` : `ended with exit code ${code}`;
      if (!everSettled && failures >= pace.tries) {
        return reject(
          new ChildError(`${name} does not come up (${how}): ${lastWords || 'the log says more'}`),
        );
      }
      const delay = Math.min(pace.firstDelayMs * 2 ** (failures - 1), pace.longestDelayMs);
      journal.error(`${name} ${how}; starting it again`, { delayMs: delay });
      again = setTimeout(run, delay);
      return undefined;
    });
  };
  run();

  return {
    ended,
    stop: (signal) => {
      stopping = true;
      current?.kill(signal);
      if (again) {
        clearTimeout(again);
        resolve();
      }
    },
  };
}
