import { encodeTime } from 'ulid';
import type { Status } from '../build.ts';

/** What a list is restricted to. Times are ISO 8601, of acceptance; `before` is exclusive, `after` inclusive. */
export interface BuildFilter {
  readonly project?: string;
  /** Needs a project. */
  readonly branch?: string;
  readonly status?: Status;
  readonly before?: string;
  readonly after?: string;
}

/** A filter or cursor that cannot be used: the caller's mistake. */
export class BuildFilterError extends Error {
  override readonly name = 'BuildFilterError';
}

/**
 * Indexes are sorted sets with score 0, so that their members, ULIDs, are in the order of acceptance: `i:all`,
 * `i:s:<status>`, `i:p:<project>`, `i:ps:<status>:<project>`, and `i:b:` of project and branch. The queue's scripts
 * move builds between them as states change.
 */
export function branchIndex(project: string, branch: string): string {
  return `i:b:${encodeURIComponent(project)}:${encodeURIComponent(branch)}`;
}

/** Builds of one list: an index, and the state that members must have when no index is that narrow. */
export function indexOf({ project, branch, status }: BuildFilter): {
  key: string;
  status: Status | undefined;
} {
  if (project === undefined) {
    if (branch !== undefined) throw new BuildFilterError('a list by branch needs a project too');
    return { key: status === undefined ? 'i:all' : `i:s:${status}`, status: undefined };
  }
  if (branch !== undefined) return { key: branchIndex(project, branch), status };
  return { key: status === undefined ? `i:p:${project}` : `i:ps:${status}:${project}`, status: undefined };
}

/** Bounds for ZRANGE BYLEX REV: from the newest wanted id down. Throws BuildFilterError. */
export function boundsOf({ before, after }: BuildFilter, cursor: string | undefined): [string, string] {
  const newest = [
    before === undefined ? undefined : `(${firstIdOf(before)}`,
    cursor && `(${parseCursor(cursor)}`,
  ];
  const oldest = after === undefined ? '-' : `[${firstIdOf(after)}`;
  return [newest.filter((bound) => bound !== undefined).sort()[0] ?? '+', oldest];
}

/** Opaque to clients. */
export function cursorAfter(id: string): string {
  return Buffer.from(id).toString('base64url');
}

function parseCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('latin1');
  if (!/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(id)) {
    throw new BuildFilterError('the cursor is not one that a list returned');
  }
  return id;
}

/** No ULID of that millisecond is smaller. Throws BuildFilterError. */
export function firstIdOf(time: string): string {
  const ms = Date.parse(time);
  if (!(ms >= 0 && ms < 2 ** 48)) throw new BuildFilterError(`'${time}' is not a time; use ISO 8601`);
  return encodeTime(ms) + '0'.repeat(16);
}
