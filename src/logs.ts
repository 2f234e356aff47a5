/** The log of a build while it runs and afterwards: what it is made of, who writes it, who reads it. */

/** A stretch of the log of one attempt, of one origin. */
export interface LogEntry {
  readonly attempt: number;
  /** Bytes of the attempt's log before it. */
  readonly offset: number;
  /** The origin's label (src/logs/label.ts). */
  readonly step: string;
  /** Shared: not to be changed. */
  readonly data: Buffer;
  /** So many bytes that the build wrote just before are missing: the log was cut, or a part of it is lost. */
  readonly cutBytes?: number;
}

/** A byte of a log; each attempt has a log of its own, from 0. */
export interface LogPosition {
  readonly attempt: number;
  readonly offset: number;
}

export interface LogWriter {
  /**
   * Takes output of what the label names, which must not be changed any more. Waiting for the promise, when there is one, is what
   * keeps memory flat. Rejects with what ended the log: StaleFence, LogStoreError, or the reason of the signal.
   */
  append(label: string, chunk: Buffer): void | Promise<void>;
  /** So many bytes are left out before what is appended next. */
  mark(cutBytes: number): void;
  /** Resolves when all of it is in storage as one object; what is appended from now on is left out. Rejects as append does. */
  close(): Promise<{ bytes: number }>;
}

export interface LogReader {
  /**
   * Every byte from a position on, once, in order; waits for more until the build has ended or `signal` is aborted. A
   * number is a byte of the attempt that runs, or ran last, or will be the next one; from a position of an attempt, a
   * reader that comes back cannot take another attempt's bytes for it. Throws LogRestarted when a newer attempt runs,
   * LogMissing, and what the storage throws. While Redis is away it waits.
   */
  read(id: string, from: number | LogPosition, signal?: AbortSignal): AsyncIterable<LogEntry>;
}

/** The attempt does not run any more: another one does, or the build has ended. Nothing more of it is written. */
export class StaleFence extends Error {
  override readonly name = 'StaleFence';

  constructor(id: string, attempt: number) {
    super(`attempt ${attempt} of build ${id} is not the one that runs; its log takes nothing more`);
  }
}

/** The storage or Redis refused a part of the log again and again; `cause` says why. */
export class LogStoreError extends Error {
  override readonly name = 'LogStoreError';
}

/** The build was started again: its log begins anew at byte 0 of `attempt`. */
export class LogRestarted extends Error {
  override readonly name = 'LogRestarted';
  readonly attempt: number;

  constructor(id: string, attempt: number) {
    super(`build ${id} was started again; read the log of attempt ${attempt} from its first byte`);
    this.attempt = attempt;
  }
}

/** There is no such build, or a part of its log is gone from storage. */
export class LogMissing extends Error {
  override readonly name = 'LogMissing';
}
