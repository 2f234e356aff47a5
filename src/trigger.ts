/** What made a build, as its record says. Pure. */

/** Who or what asked for it, and the commit as the forge described it; texts are the forge's, unchecked. */
interface Happening {
  /** Login on the forge, or the name of the token. */
  readonly actor?: string;
  /** When it happened by the forge's clock, ISO 8601: an older event never replaces a newer one. */
  readonly at?: string;
  /** Id of the delivery that told of it. */
  readonly delivery?: string;
  readonly commit?: TriggerCommit;
  /** A page of the forge that shows it. */
  readonly url?: string;
}

export interface TriggerCommit {
  readonly message?: string;
  readonly author?: string;
  readonly email?: string;
}

export interface PullRequest {
  readonly number: number;
  readonly title?: string;
  readonly sourceBranch: string;
  readonly targetBranch: string;
  /** Where the commits are from: people without write access can only make forks. A fork may be gone already. */
  readonly from: { readonly kind: 'same-repository' } | { readonly kind: 'fork'; readonly url?: string };
  /** The commit of the target branch that it is compared with. */
  readonly baseSha?: string;
  readonly labels?: readonly string[];
}

export type Trigger = Happening &
  (
    | { readonly kind: 'manual' }
    | { readonly kind: 'push'; readonly branch: string; readonly before?: string }
    | { readonly kind: 'tag'; readonly tag: string }
    | { readonly kind: 'pull_request'; readonly pullRequest: PullRequest }
    | { readonly kind: 'cron'; readonly name: string; readonly branch: string }
  );

/**
 * `trusted`: what people with write access made, and what was submitted with a token. `untrusted`: everything else, such
 * as pull requests from forks; it gets no secrets, writes no caches, and asks for no more than the server's policy allows.
 */
export type Trust = 'trusted' | 'untrusted';

/** `refs/heads/main` → `main`; what is no branch stays as it is. */
export function shortRef(ref: string): string {
  return ref.replace(/^refs\/heads\//, '');
}
