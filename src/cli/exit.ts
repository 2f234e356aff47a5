/** Exit codes of every command; scripts rely on them. */
export const exitCode = {
  passed: 0,
  failed: 1,
  usage: 2,
  errored: 3,
  timedOut: 124,
  canceled: 130,
} as const;

/** The command line or a workflow file is wrong: exit code 2, the message alone, no stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
