import { Type } from 'typebox';
import type { Status } from '../build.ts';
import type { Repository } from '../repositories.ts';
import { shortRef } from '../trigger.ts';
import type { Forge, ForgeEvent, Message } from './forge.ts';
import { pathOf, stranger } from './identity.ts';
import { instantOf, jsonOf, Maybe, readerOf, Sha, stated } from './payload.ts';
import { pullEvent } from './pull-update.ts';
import { ignored, refEvent } from './ref-update.ts';
import { headerOf, isOneOf, isRecent, isSigned } from './signature.ts';
import { apiUrl, clipped, postJson } from './status.ts';

/** GitLab. https://docs.gitlab.com/user/project/integrations/webhook_events/ */
export const gitlab: Forge = {
  kind: 'gitlab',
  // A secret token comes as it is; a signing token signs, and then the signature decides.
  authenticate: (message, secrets) =>
    headerOf(message.headers, 'webhook-signature') === undefined
      ? hasToken(message, secrets)
      : hasSignature(message, secrets),
  deliveryId: (headers) =>
    ['idempotency-key', 'webhook-id', 'x-gitlab-event-uuid']
      .map((name) => headerOf(headers, name))
      .find((id) => id !== undefined),
  headers: ['x-gitlab-event'],
  read: (message, repository) => {
    const event = headerOf(message.headers, 'x-gitlab-event') ?? '';
    if (event === 'Push Hook' || event === 'Tag Push Hook') return [readPush(jsonOf(message), repository)];
    if (event === 'Merge Request Hook') return [readMergeRequest(jsonOf(message), repository)];
    return [ignored(`events of the kind '${event}' make no builds`)];
  },
  statusRequest: (repository, token, { sha, ref, state, context, description, url }) =>
    repository.apiUrl === undefined
      ? undefined
      : postJson(
          apiUrl(repository.apiUrl, 'projects', pathOf(repository), 'statuses', sha),
          { 'private-token': token },
          {
            state: states[state],
            name: context,
            description: clipped(description, 255),
            target_url: url,
            // Without it a commit that is on no branch, as those of forks, is not found.
            ...(ref !== undefined && { ref: shortRef(ref).replace(/^refs\/tags\//, '') }),
          },
        ),
};

function hasToken({ headers }: Message, secrets: readonly string[]): boolean {
  const token = headerOf(headers, 'x-gitlab-token');
  return token !== undefined && isOneOf(token, secrets);
}

/** Standard Webhooks: `v1,<base64>` of `<id>.<timestamp>.<body>`; several are divided by blanks. */
function hasSignature({ headers, body }: Message, secrets: readonly string[]): boolean {
  const id = headerOf(headers, 'webhook-id');
  const timestamp = headerOf(headers, 'webhook-timestamp');
  if (id === undefined || !isRecent(timestamp)) return false;
  const signatures = (headerOf(headers, 'webhook-signature') ?? '').split(' ');
  return signatures.slice(0, 10).some((each) => {
    const base64 = /^v1,([A-Za-z0-9+/]{43}=)$/.exec(each)?.[1];
    if (base64 === undefined) return false;
    return isSigned(Buffer.from(base64, 'base64'), [`${id}.${timestamp}.`, body], secrets.map(signingKey));
  });
}

/** GitLab makes `whsec_` and 32 bytes in base64; those bytes are the key. */
function signingKey(secret: string): string | Buffer {
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : secret;
}

const Project = Type.Object({ path_with_namespace: Type.String() });
const Author = Maybe(Type.Object({ name: Maybe(Type.String()), email: Maybe(Type.String()) }));
const Commit = Type.Object({ id: Sha, message: Maybe(Type.String()), author: Author });

const asPush = readerOf(
  Type.Object({
    ref: Type.String(),
    before: Maybe(Sha),
    after: Sha,
    checkout_sha: Maybe(Sha),
    user_username: Maybe(Type.String()),
    commits: Maybe(Type.Array(Commit)),
    project: Project,
  }),
);

function readPush(payload: unknown, repository: Repository): ForgeEvent {
  const {
    ref,
    before,
    after,
    checkout_sha: checkout,
    user_username: actor,
    commits,
    project,
  } = asPush(payload);
  const other = stranger(repository, project.path_with_namespace);
  if (other !== undefined) return ignored(other);
  // Of an annotated tag `after` may be the tag object; of a deleted ref both say so.
  const sha = checkout ?? after;
  const head = commits?.find(({ id }) => id === sha);
  return refEvent({
    ref,
    before: before ?? undefined,
    after: sha,
    about: stated({
      actor,
      commit: head && stated({ message: head.message, author: head.author?.name, email: head.author?.email }),
    }),
  });
}

const asMergeRequest = readerOf(
  Type.Object({
    user: Maybe(Type.Object({ username: Maybe(Type.String()) })),
    project: Project,
    labels: Maybe(Type.Array(Type.Object({ title: Type.String() }))),
    changes: Maybe(Type.Object({ draft: Maybe(Type.Object({ current: Maybe(Type.Boolean()) })) })),
    object_attributes: Type.Object({
      iid: Type.Integer(),
      action: Maybe(Type.String()),
      title: Maybe(Type.String()),
      url: Maybe(Type.String()),
      updated_at: Maybe(Type.String()),
      oldrev: Maybe(Type.String()),
      source_branch: Type.String(),
      target_branch: Type.String(),
      source_project_id: Maybe(Type.Integer()),
      target_project_id: Type.Integer(),
      source: Maybe(Type.Object({ git_http_url: Maybe(Type.String()) })),
      last_commit: Maybe(Commit),
    }),
  }),
);

function readMergeRequest(payload: unknown, repository: Repository): ForgeEvent {
  const { user, project, labels, changes, object_attributes: merge } = asMergeRequest(payload);
  const other = stranger(repository, project.path_with_namespace);
  if (other !== undefined) return ignored(other);
  const { iid: number, action, last_commit: head } = merge;
  // `oldrev` is there when commits came, and only then.
  const hasNews =
    action === 'open' ||
    action === 'reopen' ||
    (action === 'update' && (typeof merge.oldrev === 'string' || changes?.draft?.current === false));
  if (!hasNews) return ignored(`a merge request with the action '${action ?? ''}' has nothing new to build`);
  if (!head) return ignored('the merge request has no commits');
  return pullEvent({
    number,
    title: merge.title,
    labels: labels?.map(({ title }) => title),
    ref: `refs/merge-requests/${number}/head`,
    head: {
      branch: merge.source_branch,
      sha: head.id,
      repository: merge.source_project_id,
      url: merge.source?.git_http_url,
    },
    base: { branch: merge.target_branch, repository: merge.target_project_id },
    about: stated({
      actor: user?.username,
      at: instantOf(merge.updated_at),
      url: merge.url,
      commit: stated({ message: head.message, author: head.author?.name, email: head.author?.email }),
    }),
  });
}

const states: Readonly<Record<Status, 'pending' | 'running' | 'success' | 'failed' | 'canceled'>> = {
  queued: 'pending',
  running: 'running',
  passed: 'success',
  failed: 'failed',
  errored: 'failed',
  timed_out: 'failed',
  canceled: 'canceled',
};
