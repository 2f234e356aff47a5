import { Type } from 'typebox';
import type { Repository } from '../repositories.ts';
import type { Forge, ForgeEvent } from './forge.ts';
import { pathOf, stranger } from './identity.ts';
import { fullSha, instantOf, jsonOf, Maybe, readerOf, Sha, stated } from './payload.ts';
import { pullEvent } from './pull-update.ts';
import { ignored, refEvent } from './ref-update.ts';
import { digestIn, headerOf, isSigned } from './signature.ts';
import { apiUrl, clipped, githubStates, postJson } from './status.ts';

/** https://docs.gitea.com/usage/webhooks */
export const gitea: Forge = giteaLike('gitea', ['gitea']);

/** A fork of Gitea that sends Gitea's headers beside its own; its own decide. https://forgejo.org/docs/latest/user/webhooks/ */
export const forgejo: Forge = giteaLike('forgejo', ['forgejo', 'gitea']);

/** @param names as in `X-<name>-Event`; the first one that is there decides */
function giteaLike(kind: 'gitea' | 'forgejo', names: readonly string[]): Forge {
  const find = (headers: Parameters<typeof headerOf>[0], what: string) =>
    names.map((name) => headerOf(headers, `x-${name}-${what}`)).find((value) => value !== undefined);
  return {
    kind,
    authenticate: ({ headers, body }, secrets) =>
      isSigned(digestIn(find(headers, 'signature')), [body], secrets),
    deliveryId: (headers) => find(headers, 'delivery'),
    headers: [...names.map((name) => `x-${name}-event`), 'content-type'],
    read: (message, repository) => {
      const event = find(message.headers, 'event') ?? '';
      const read = readers.get(event);
      return [
        read ? read(jsonOf(message), repository) : ignored(`events of the kind '${event}' make no builds`),
      ];
    },
    statusRequest: (repository, token, { sha, state, context, description, url }) =>
      repository.apiUrl === undefined
        ? undefined
        : postJson(
            apiUrl(repository.apiUrl, 'repos', ...pathOf(repository).split('/').slice(-2), 'statuses', sha),
            { authorization: `token ${token}` },
            { state: githubStates[state], context, description: clipped(description, 255), target_url: url },
          ),
  };
}

type Reader = (payload: unknown, repository: Repository) => ForgeEvent;
const readers = new Map<string, Reader>([
  ['create', () => ignored('the push that made the branch or tag builds it')],
  ['delete', () => ignored('a branch or tag was deleted')],
  ['push', readPush],
  ['pull_request', readPullRequest],
]);

const GiteaRepository = Type.Object({ full_name: Type.String() });
const Sender = Maybe(Type.Object({ login: Maybe(Type.String()) }));
const Commit = Type.Object({
  id: Sha,
  message: Maybe(Type.String()),
  author: Maybe(Type.Object({ name: Maybe(Type.String()), email: Maybe(Type.String()) })),
});

const asPush = readerOf(
  Type.Object({
    ref: Type.String(),
    before: Maybe(Sha),
    after: Sha,
    compare_url: Maybe(Type.String()),
    head_commit: Maybe(Commit),
    commits: Maybe(Type.Array(Commit)),
    repository: GiteaRepository,
    sender: Sender,
  }),
);

function readPush(payload: unknown, repository: Repository): ForgeEvent {
  const push = asPush(payload);
  const other = stranger(repository, push.repository.full_name);
  if (other !== undefined) return ignored(other);
  // Before Gitea 1.14 there was no head_commit.
  const head = push.head_commit ?? push.commits?.find(({ id }) => id === push.after);
  return refEvent({
    ref: push.ref,
    before: push.before ?? undefined,
    after: head?.id ?? push.after,
    about: stated({
      actor: push.sender?.login,
      url: push.compare_url,
      commit: head && stated({ message: head.message, author: head.author?.name, email: head.author?.email }),
    }),
  });
}

/** `synchronized` comes as `pull_request`, with `pull_request_sync` in another header. */
const building = ['opened', 'reopened', 'synchronized'];

const Side = Type.Object({
  ref: Type.String(),
  sha: Maybe(Type.String()),
  repo_id: Maybe(Type.Integer()),
  repo: Maybe(Type.Object({ clone_url: Maybe(Type.String()) })),
});
const asPullRequest = readerOf(
  Type.Object({
    action: Type.String(),
    number: Type.Integer(),
    pull_request: Type.Object({
      title: Maybe(Type.String()),
      html_url: Maybe(Type.String()),
      updated_at: Maybe(Type.String()),
      labels: Maybe(Type.Array(Type.Object({ name: Type.String() }))),
      head: Side,
      base: Side,
    }),
    repository: GiteaRepository,
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
    head: { branch: head.ref, sha: fullSha(head.sha), repository: head.repo_id, url: head.repo?.clone_url },
    base: { branch: base.ref, sha: fullSha(base.sha), repository: base.repo_id },
    about: stated({ actor: sender?.login, at: instantOf(pull.updated_at), url: pull.html_url }),
  });
}
