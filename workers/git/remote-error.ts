/**
 * A remote that cannot be used; the message says why and what to do.
 *   refused       we do not talk to it, or it does not let us in: somebody has to change something
 *   moved         it says that the repository is elsewhere now
 *   unreachable   it does not answer, or not in order: trying again later may help
 *   machine       this worker cannot talk to any
 */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly kind: 'refused' | 'moved' | 'unreachable' | 'machine';

  constructor(kind: RemoteError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
