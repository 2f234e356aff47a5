import type { Trigger } from '../trigger.ts';
import type { ForgeEvent } from './forge.ts';
import { stated } from './payload.ts';
import { ignored, refFlaw } from './ref-update.ts';
import { skipRequest } from './skip.ts';

/** An open pull or merge request with new commits, in the words of no forge. */
export interface PullUpdate {
  readonly number: number;
  readonly title?: string | null | undefined;
  readonly labels?: readonly string[] | undefined;
  /** What to fetch from the repository it was made for. */
  readonly ref: string;
  readonly head: {
    readonly branch: string;
    /** Undefined: the forge tells only a part of it. */
    readonly sha?: string | undefined;
    /** The forge's id of the repository that has the branch; undefined: it is gone. */
    readonly repository: string | number | null | undefined;
    readonly url?: string | null | undefined;
  };
  readonly base: {
    readonly branch: string;
    readonly sha?: string | undefined;
    readonly repository: string | number | null | undefined;
  };
  readonly about: Pick<Trigger, 'actor' | 'at' | 'commit' | 'url'>;
}

/**
 * The event of a pull request. Whoever may not write to the repository has a fork; what is not known to be the same
 * repository is one, and its build untrusted. Repositories are told apart by their ids: names can be taken over.
 */
export function pullEvent(update: PullUpdate): ForgeEvent {
  const { number, title, labels, ref, head, base, about } = update;
  const skip = skipRequest(title) ?? skipRequest(about.commit?.message);
  if (skip !== undefined) return ignored(`the pull request says ${skip}`);
  const baseRef = `refs/heads/${base.branch}`;
  const flaw = refFlaw(ref) ?? refFlaw(baseRef);
  if (flaw !== undefined) return ignored(flaw);
  const isOwn = isKnown(head.repository) && head.repository === base.repository;
  return {
    kind: 'build',
    trigger: {
      kind: 'pull_request',
      pullRequest: {
        number,
        ...stated({ title, labels, baseSha: base.sha }),
        sourceBranch: head.branch,
        targetBranch: base.branch,
        from: isOwn ? { kind: 'same-repository' } : { kind: 'fork', ...stated({ url: head.url }) },
      },
      ...about,
    },
    trust: isOwn ? 'trusted' : 'untrusted',
    source: {
      ref,
      ...stated({ sha: head.sha }),
      base: { ref: baseRef, ...stated({ sha: base.sha }) },
    },
  };
}

/** Zero is no repository's id, but what some forges say of one that is gone. */
const isKnown = (id: string | number | null | undefined) =>
  id !== null && id !== undefined && id !== 0 && id !== '';
