/** Who wrote a stretch of a log; undefined: a part of it that belongs to no workflow. */
export interface Origin {
  readonly workflow?: string;
  /** A step; or `service:NAME`. */
  readonly step: string;
}

/** As in no name that people write (the unit separator of ASCII). */
const separator = '\u001f';

/** An origin in one string, as logs keep it. */
export function labelOf({ workflow, step }: Origin): string {
  return workflow === undefined ? step : `${workflow.replaceAll(separator, ' ')}${separator}${step}`;
}

/** What labelOf() was given. */
export function originOf(label: string): Origin {
  const at = label.indexOf(separator);
  return at < 0 ? { step: label } : { workflow: label.slice(0, at), step: label.slice(at + 1) };
}
