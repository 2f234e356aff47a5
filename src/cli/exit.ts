import type { Status } from '../build.ts';

/** Exit codes of every command; scripts rely on them. */
export const exitCode = {
  passed: 0,
  failed: 1,
  usage: 2,
  errored: 3,
  timedOut: 124,
  canceled: 130,
} as const;

/** The exit code of a command that waited for a build; one that has no verdict yet is no success. */
export const statusCode: Record<Status, number> = {
  passed: exitCode.passed,
  failed: exitCode.failed,
  errored: exitCode.errored,
  timed_out: exitCode.timedOut,
  canceled: exitCode.canceled,
  queued: exitCode.errored,
  running: exitCode.errored,
};
