import type { Repository } from '../repositories.ts';
import type { BuildSpec } from '../spec.ts';
import type { Trigger } from '../trigger.ts';
import type { ForgeEvent } from './forge.ts';
import { clipped } from './status.ts';

/** What is made of an event. */
export type Intake =
  | { readonly kind: 'build'; readonly spec: BuildSpec }
  | { readonly kind: 'ignored'; readonly reason: string };

/** Who asks, and how. */
export interface IntakeRequest {
  /** Id of the build to be made: the same request again must give the same one. */
  readonly id: string;
  /** Such as `hook:NAME`. */
  readonly requestedBy: string;
  readonly delivery?: string;
  /** `forge`: there is a token to report to it with. */
  readonly report: 'forge' | 'none';
  /** `keep`: newer builds stay, as when an old event is built once more. */
  readonly older: 'cancel' | 'keep';
}

/** The build that a repository's policy makes of an event. Pure. */
export function intake(repository: Repository, event: ForgeEvent, request: IntakeRequest): Intake {
  if (event.kind === 'ignored') return event;
  const { trigger, trust, source } = event;
  const { name, url, events, untrusted, defaults, apiUrl } = repository;
  if (isEventKind(trigger.kind) && !events.includes(trigger.kind)) {
    return { kind: 'ignored', reason: `${name} has no builds for events of the kind ${trigger.kind}` };
  }
  if (trust === 'untrusted' && untrusted.builds === 'refuse') {
    return { kind: 'ignored', reason: `${name} has no builds for pull requests from forks` };
  }
  const group = request.older === 'cancel' ? supersedeKeyOf(repository, trigger) : undefined;
  const spec: BuildSpec = {
    id: request.id,
    project: name,
    source: { kind: 'git', url, repository: name, repo: name, ...source },
    environment: defaults.environment ?? {},
    priority: defaults.priority ?? 5,
    // The last word: whatever the repository or its workflow asks for, only workers that take strangers' builds get it.
    labels: { ...defaults.labels, ...(trust === 'untrusted' && { trust }) },
    requestedBy: request.requestedBy,
    trigger: shortened(trigger, request.delivery),
    trust,
    ...(group !== undefined && { supersedeKey: group }),
    ...(trust === 'untrusted' && untrusted.builds === 'approval' && { hold: 'approval' }),
    ...(apiUrl !== undefined && request.report === 'forge' && { report: 'commit-status' }),
  };
  return { kind: 'build', spec };
}

const isEventKind = (kind: Trigger['kind']) => kind === 'push' || kind === 'tag' || kind === 'pull_request';

/** Builds with the same key are of one branch or one pull request: a newer one makes the older ones pointless. */
function supersedeKeyOf({ supersede }: Repository, trigger: Trigger): string | undefined {
  if (trigger.kind === 'push' && supersede.includes('push')) return `push:${trigger.branch}`;
  if (trigger.kind === 'pull_request' && supersede.includes('pull_request')) {
    return `pull:${trigger.pullRequest.number}`;
  }
  return undefined;
}

/** Characters; a record is kept in Redis, and a message becomes one variable of a build's environment. */
const mostOfMessage = 10_000;
const mostOfLine = 1000;
const mostLabels = 100;

/** The forge's texts have any length. */
function shortened(trigger: Trigger, delivery: string | undefined): Trigger {
  const { actor, url, commit } = trigger;
  const { message, author, email } = commit ?? {};
  const common = {
    ...(delivery !== undefined && { delivery }),
    ...(actor !== undefined && { actor: clipped(actor, mostOfLine) }),
    ...(url !== undefined && { url: clipped(url, mostOfLine) }),
    ...(commit && {
      commit: {
        ...(message !== undefined && { message: clipped(message, mostOfMessage) }),
        ...(author !== undefined && { author: clipped(author, mostOfLine) }),
        ...(email !== undefined && { email: clipped(email, mostOfLine) }),
      },
    }),
  };
  if (trigger.kind !== 'pull_request') return { ...trigger, ...common };
  const { pullRequest } = trigger;
  const { title, labels, sourceBranch } = pullRequest;
  return {
    ...trigger,
    ...common,
    pullRequest: {
      ...pullRequest,
      sourceBranch: clipped(sourceBranch, mostOfLine),
      ...(title !== undefined && { title: clipped(title, mostOfLine) }),
      ...(labels && { labels: labels.slice(0, mostLabels).map((each) => clipped(each, mostOfLine)) }),
    },
  };
}
