/** The build cannot be approved; the message says why. */
export class ApprovalError extends Error {
  override readonly name = 'ApprovalError';
  readonly kind: 'unknown' | 'finished' | 'unheld';

  constructor(kind: ApprovalError['kind'], id: string) {
    super(messages[kind](id));
    this.kind = kind;
  }
}

const messages = {
  unknown: (id: string) => `there is no build ${id}`,
  finished: (id: string) =>
    `build ${id} has ended; to build it after all, retry it and approve the new build`,
  unheld: (id: string) => `build ${id} does not wait for approval`,
} as const;
