/** Redis cannot be used; the message names the server, what is wrong with it, and the remedy. */
export class RedisError extends Error {
  override readonly name = 'RedisError';
  /**
   * `address`: the URL is wrong. `unreachable`: nothing answers. `refused`: it lets nobody in, or not with this password.
   * `unfit`: it answers, but would lose data.
   * `missing`: no server program to start. `broken`: the program was started and ended.
   */
  readonly kind: 'address' | 'unreachable' | 'refused' | 'unfit' | 'missing' | 'broken';

  constructor(kind: RedisError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
