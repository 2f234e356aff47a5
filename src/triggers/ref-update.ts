import { GitRefError, parseRef } from '../git/ref.ts';
import type { Trigger } from '../trigger.ts';
import type { ForgeEvent } from './forge.ts';
import { skipRequest } from './skip.ts';

/** A branch or tag that was moved, made or deleted, in the words of no forge. */
export interface RefUpdate {
  /** A full ref. */
  readonly ref: string;
  /** The commit it had; zeros or undefined: it was made. */
  readonly before?: string | undefined;
  /** The commit it has, not the tag object; zeros or undefined: it was deleted. */
  readonly after?: string | undefined;
  /** Who did it, and what the commit says. */
  readonly about: Pick<Trigger, 'actor' | 'at' | 'commit' | 'url'>;
}

const isCommit = (id: string | undefined): id is string => id !== undefined && !/^0+$/.test(id);

/** The event of a ref that moved: people with write access moved it, so its build is trusted. */
export function refEvent({ ref, before, after, about }: RefUpdate): ForgeEvent {
  if (!isCommit(after)) return ignored(`${ref} was deleted`);
  if (before === after) return ignored(`${ref} is where it was`);
  const [, kind, name] = /^refs\/(heads|tags)\/(.+)$/s.exec(ref) ?? [];
  if (kind === undefined || name === undefined) return ignored(`${ref} is neither a branch nor a tag`);
  const flaw = refFlaw(ref);
  if (flaw !== undefined) return ignored(flaw);
  const source = { ref, sha: after };
  if (kind === 'tags') {
    return { kind: 'build', trigger: { kind: 'tag', tag: name, ...about }, trust: 'trusted', source };
  }
  const skip = skipRequest(about.commit?.message);
  if (skip !== undefined) return ignored(`the commit's message says ${skip}`);
  return {
    kind: 'build',
    trigger: { kind: 'push', branch: name, ...(isCommit(before) && { before }), ...about },
    trust: 'trusted',
    source,
  };
}

/** An event that makes no build. */
export function ignored(reason: string): ForgeEvent {
  return { kind: 'ignored', reason };
}

/** Why a ref of a payload is none; undefined: it is one. */
export function refFlaw(ref: string): string | undefined {
  try {
    parseRef(ref);
    return undefined;
  } catch (error) {
    if (error instanceof GitRefError) return error.message;
    throw error;
  }
}
