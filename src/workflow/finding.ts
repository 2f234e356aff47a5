import type { Scalar } from './document.ts';

/** A problem by its path in the data; the place in the text is looked up later. */
export interface Finding {
  readonly path: readonly string[];
  readonly part: 'key' | 'value';
  readonly message: string;
  readonly hint?: string;
}

/** What those who read a part of a workflow have beside its data. */
export interface Reading {
  /** The scalar at a path as it is written; undefined for maps and lists. */
  readonly scalar: (path: readonly string[]) => Scalar | undefined;
  /** Tells of what makes the workflow unusable. */
  readonly report: (finding: Finding) => void;
  /** Tells of what has no effect, or another than one may think. */
  readonly warn: (finding: Finding) => void;
}

/** A path as messages name it: `steps[0].image`. */
export function labelOf(path: readonly string[]): string {
  const text = path.map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`)).join('');
  return text === '' ? 'the workflow' : text.replace(/^\./, '');
}
