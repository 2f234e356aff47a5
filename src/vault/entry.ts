/** A setting that has something sealed in it, as JSON. */
export interface SealedEntry {
  /** Opens for contextOf its kind and name. */
  readonly sealed: string;
}

/** What binds a sealed text to the setting that it is in. */
export function contextOf(kind: string, name: string): string {
  return `${kind} ${name}`;
}
