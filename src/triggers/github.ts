import { Type } from 'typebox';
import type { Repository } from '../repositories.ts';
import type { Forge, ForgeEvent } from './forge.ts';
import { pathOf, stranger } from './identity.ts';
import { instantOf, jsonOf, Maybe, readerOf, Sha, stated } from './payload.ts';
import { pullEvent } from './pull-update.ts';
import { ignored, refEvent } from './ref-update.ts';
import { digestIn, headerOf, isSigned } from './signature.ts';
import { apiUrl, clipped, githubStates, postJson } from './status.ts';

/** GitHub and GitHub Enterprise Server. https://docs.github.com/en/webhooks/webhook-events-and-payloads */
export const github: Forge = {
  kind: 'github',
  // X-Hub-Signature beside it is SHA-1.
  authenticate: ({ headers, body }, secrets) =>
    isSigned(digestIn(headerOf(headers, 'x-hub-signature-256'), 'sha256='), [body], secrets),
  deliveryId: (headers) => headerOf(headers, 'x-github-delivery'),
  headers: ['x-github-event', 'content-type'],
  read: (message, repository) => {
    const event = headerOf(message.headers, 'x-github-event') ?? '';
    const read = readers.get(event);
    return [
      read ? read(jsonOf(message), repository) : ignored(`events of the kind '${event}' make no builds`),
    ];
  },
  statusRequest: (repository, token, { sha, state, context, description, url }) =>
    repository.apiUrl === undefined
      ? undefined
      : postJson(
          apiUrl(repository.apiUrl, 'repos', ...pathOf(repository).split('/'), 'statuses', sha),
          { authorization: `Bearer ${token}`, accept: 'application/vnd.github+json' },
          { state: githubStates[state], context, description: clipped(description, 140), target_url: url },
        ),
};

type Reader = (payload: unknown, repository: Repository) => ForgeEvent;
const readers = new Map<string, Reader>([
  ['ping', () => ignored('pong: the webhook works')],
  ['create', () => ignored('the push that made the branch or tag builds it')],
  ['delete', () => ignored('a branch or tag was deleted')],
  ['push', readPush],
  ['pull_request', readPullRequest],
]);

const GitHubRepository = Type.Object({ full_name: Type.String() });
const Sender = Maybe(Type.Object({ login: Maybe(Type.String()) }));

const asPush = readerOf(
  Type.Object({
    ref: Type.String(),
    before: Maybe(Sha),
    after: Sha,
    compare: Maybe(Type.String()),
    head_commit: Maybe(
      Type.Object({
        id: Sha,
        message: Maybe(Type.String()),
        author: Maybe(Type.Object({ name: Maybe(Type.String()), email: Maybe(Type.String()) })),
      }),
    ),
    repository: Type.Intersect([
      GitHubRepository,
      Type.Object({ pushed_at: Maybe(Type.Union([Type.Integer(), Type.String()])) }),
    ]),
    sender: Sender,
  }),
);

function readPush(payload: unknown, repository: Repository): ForgeEvent {
  const { ref, before, after, compare, head_commit: head, repository: told, sender } = asPush(payload);
  const other = stranger(repository, told.full_name);
  if (other !== undefined) return ignored(other);
  const { pushed_at: at } = told;
  return refEvent({
    ref,
    before: before ?? undefined,
    // Of an annotated tag `after` is the tag object.
    after: head?.id ?? after,
    about: stated({
      actor: sender?.login,
      at: instantOf(typeof at === 'number' ? at * 1000 : at),
      url: compare,
      commit: head && stated({ message: head.message, author: head.author?.name, email: head.author?.email }),
    }),
  });
}

/** Drafts are built too; GitHub says so when one is no draft any more, and a check may have waited for that. */
const building = ['opened', 'reopened', 'synchronize', 'ready_for_review'];

const Side = { ref: Type.String(), sha: Sha };
const asPullRequest = readerOf(
  Type.Object({
    action: Type.String(),
    number: Type.Integer(),
    pull_request: Type.Object({
      title: Maybe(Type.String()),
      html_url: Maybe(Type.String()),
      updated_at: Maybe(Type.String()),
      labels: Maybe(Type.Array(Type.Object({ name: Type.String() }))),
      head: Type.Object({
        ...Side,
        repo: Maybe(Type.Object({ id: Type.Integer(), clone_url: Maybe(Type.String()) })),
      }),
      base: Type.Object({ ...Side, repo: Type.Object({ id: Type.Integer() }) }),
    }),
    repository: GitHubRepository,
    sender: Sender,
  }),
);

function readPullRequest(payload: unknown, repository: Repository): ForgeEvent {
  const { action, number, pull_request: pull, repository: told, sender } = asPullRequest(payload);
  const other = stranger(repository, told.full_name);
  if (other !== undefined) return ignored(other);
  if (!building.includes(action))
    return ignored(`a pull request that was '${action}' has nothing new to build`);
  const { head, base } = pull;
  return pullEvent({
    number,
    title: pull.title,
    labels: pull.labels?.map(({ name }) => name),
    ref: `refs/pull/${number}/head`,
    head: { branch: head.ref, sha: head.sha, repository: head.repo?.id, url: head.repo?.clone_url },
    base: { branch: base.ref, sha: base.sha, repository: base.repo.id },
    about: stated({ actor: sender?.login, at: instantOf(pull.updated_at), url: pull.html_url }),
  });
}
