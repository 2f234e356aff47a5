import { Type } from 'typebox';
import type { Repository } from '../repositories.ts';
import type { ForgeEvent } from './forge.ts';
import { stranger } from './identity.ts';
import { fullSha, instantOf, Maybe, readerOf, Sha, stated } from './payload.ts';
import { pullEvent } from './pull-update.ts';
import { ignored, refEvent } from './ref-update.ts';

const CloudRepository = Type.Object({ full_name: Type.String(), uuid: Maybe(Type.String()) });
const Actor = Maybe(Type.Object({ nickname: Maybe(Type.String()), display_name: Maybe(Type.String()) }));

/** Of a ref that was pushed to; an annotated tag's target is its commit. */
const Ref = Type.Object({
  type: Type.String(),
  name: Type.String(),
  target: Type.Object({
    hash: Sha,
    message: Maybe(Type.String()),
    author: Maybe(Type.Object({ raw: Maybe(Type.String()) })),
  }),
  links: Maybe(Type.Object({ html: Maybe(Type.Object({ href: Maybe(Type.String()) })) })),
});

const asPush = readerOf(
  Type.Object({
    actor: Actor,
    repository: CloudRepository,
    push: Type.Object({
      changes: Type.Array(Type.Object({ old: Maybe(Ref), new: Maybe(Ref) }), { maxItems: 1000 }),
    }),
  }),
);

function readPush(payload: unknown, repository: Repository): readonly ForgeEvent[] {
  const { actor, repository: told, push } = asPush(payload);
  const other = stranger(repository, told.full_name);
  if (other !== undefined) return [ignored(other)];
  return push.changes.map(({ old, new: now }) => {
    const either = now ?? old;
    if (!either) return ignored('a change that names no ref');
    const { raw: author } = now?.target.author ?? {};
    const [, name = author, email] = /^(.*?) *<([^<>]*)>$/s.exec(author ?? '') ?? [];
    return refEvent({
      ref: `${either.type === 'tag' ? 'refs/tags' : 'refs/heads'}/${either.name}`,
      before: old?.target.hash,
      after: now?.target.hash,
      about: stated({
        actor: actor?.nickname ?? actor?.display_name,
        url: now?.links?.html?.href,
        commit: now && stated({ message: now.target.message, author: name, email }),
      }),
    });
  });
}

const Side = Type.Object({
  branch: Type.Object({ name: Type.String() }),
  commit: Maybe(Type.Object({ hash: Maybe(Type.String()) })),
  repository: Maybe(CloudRepository),
});

const asPullRequest = readerOf(
  Type.Object({
    actor: Actor,
    repository: CloudRepository,
    pullrequest: Type.Object({
      id: Type.Integer(),
      title: Maybe(Type.String()),
      updated_on: Maybe(Type.String()),
      source: Side,
      destination: Side,
      links: Maybe(Type.Object({ html: Maybe(Type.Object({ href: Maybe(Type.String()) })) })),
    }),
  }),
);

function readPullRequest(payload: unknown, repository: Repository): readonly ForgeEvent[] {
  const { actor, repository: told, pullrequest: pull } = asPullRequest(payload);
  const other = stranger(repository, told.full_name);
  if (other !== undefined) return [ignored(other)];
  const { source, destination } = pull;
  const event = pullEvent({
    number: pull.id,
    title: pull.title,
    ref: `refs/heads/${source.branch.name}`,
    head: {
      branch: source.branch.name,
      // Bitbucket tells 12 digits here; the branch is one of the repository itself.
      sha: fullSha(source.commit?.hash),
      repository: source.repository?.uuid,
    },
    base: {
      branch: destination.branch.name,
      sha: fullSha(destination.commit?.hash),
      repository: destination.repository?.uuid,
    },
    about: stated({
      actor: actor?.nickname ?? actor?.display_name,
      at: instantOf(pull.updated_on),
      url: pull.links?.html?.href,
    }),
  });
  // Its commits are only in the fork: Bitbucket Cloud has no refs of pull requests (BCLOUD-5814).
  if (event.kind === 'build' && event.trust === 'untrusted') {
    return [ignored('Bitbucket Cloud does not give out the commits of pull requests from forks')];
  }
  return [event];
}

type Reader = (payload: unknown, repository: Repository) => readonly ForgeEvent[];

/** By `X-Event-Key`. */
export const cloudReaders: ReadonlyMap<string, Reader> = new Map([
  ['repo:push', readPush],
  ['pullrequest:created', readPullRequest],
  // Also for a new title or description: the payload does not say which.
  ['pullrequest:updated', readPullRequest],
]);
