/** What the user gave us is wrong, a command line or a workflow file: exit code 2, the message alone, no stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
