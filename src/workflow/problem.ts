import { UsageError } from '../usage.ts';

/** One thing that is wrong in a workflow file, and where. */
export interface Problem {
  /** As the user named it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** A file of nothing but mistakes would otherwise print a line for each of them. */
const most = 100;

/**
 * Workflow files that cannot be used. `problems` holds at least one problem, file by file in the order of each, none
 * twice, at most 100; the message shows each on a line of its own.
 */
export class WorkflowError extends UsageError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], options?: ErrorOptions) {
    const ordered = inOrder(problems);
    const shown = ordered.slice(0, most);
    const rest = ordered.length - shown.length;
    super([...shown.map(render), ...(rest > 0 ? [`and ${rest} more`] : [])].join('\n'), options);
    this.problems = shown;
  }
}

/** `file:line:column: message; hint`, on one line: what a file says must not steer the terminal. */
export function render({ file, line, column, message, hint }: Problem): string {
  const text = `${file}:${line}:${column}: ${message}${hint === undefined ? '' : `; ${hint}`}`;
  return text.replace(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** File by file in the order of `files`, or in which they first come, each by line and column, none twice. */
export function inOrder(
  problems: readonly Problem[],
  order: readonly string[] = problems.map(({ file }) => file),
): Problem[] {
  const distinct = new Map(
    problems.map((each) => [`${each.file}:${each.line}:${each.column}:${each.message}`, each]),
  );
  const files = [...new Set(order)];
  const place = new Map(files.map((file, index) => [file, index]));
  const placeOf = ({ file }: Problem) => place.get(file) ?? 0;
  return [...distinct.values()].sort(
    (a, b) => placeOf(a) - placeOf(b) || a.line - b.line || a.column - b.column,
  );
}
