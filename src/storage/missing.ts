/** There is nothing under that key. */
export class StorageMissing extends Error {
  override readonly name = 'StorageMissing';
  readonly key: string;

  constructor(key: string, options?: ErrorOptions) {
    super(`nothing is stored under '${key}'`, options);
    this.key = key;
  }
}
