import { Type } from 'typebox';
import type { Repository } from '../repositories.ts';
import type { ForgeEvent } from './forge.ts';
import { stranger } from './identity.ts';
import { instantOf, Maybe, readerOf, Sha, stated } from './payload.ts';
import { pullEvent } from './pull-update.ts';
import { ignored, refEvent } from './ref-update.ts';

const Links = Maybe(
  Type.Object({
    clone: Maybe(Type.Array(Type.Object({ name: Type.String(), href: Type.String() }))),
    self: Maybe(Type.Array(Type.Object({ href: Type.String() }))),
  }),
);
const DataCenterRepository = Type.Object({
  id: Type.Integer(),
  slug: Type.String(),
  project: Type.Object({ key: Type.String() }),
  links: Links,
});
const Actor = Maybe(Type.Object({ name: Maybe(Type.String()) }));
const Commit = Type.Object({
  id: Sha,
  message: Maybe(Type.String()),
  author: Maybe(Type.Object({ name: Maybe(Type.String()), emailAddress: Maybe(Type.String()) })),
});

const nameOf = ({ project, slug }: { project: { key: string }; slug: string }) => `${project.key}/${slug}`;

/** `2025-09-22T13:36:11+0300`: without the colon that ISO 8601 wants. */
const dateOf = (text: string | null | undefined) => instantOf(text?.replace(/([+-]\d\d)(\d\d)$/, '$1:$2'));

const asPush = readerOf(
  Type.Object({
    date: Maybe(Type.String()),
    actor: Actor,
    repository: DataCenterRepository,
    changes: Type.Array(
      Type.Object({
        ref: Type.Object({ id: Type.String() }),
        fromHash: Maybe(Sha),
        toHash: Maybe(Sha),
        type: Type.String(),
      }),
      { maxItems: 1000 },
    ),
    toCommit: Maybe(Commit),
  }),
);

function readPush(payload: unknown, repository: Repository): readonly ForgeEvent[] {
  const { date, actor, repository: told, changes, toCommit } = asPush(payload);
  const other = stranger(repository, nameOf(told));
  if (other !== undefined) return [ignored(other)];
  return changes.map(({ ref, fromHash, toHash, type }) => {
    const commit = toCommit?.id === toHash ? toCommit : undefined;
    return refEvent({
      ref: ref.id,
      before: fromHash ?? undefined,
      after: type === 'DELETE' ? undefined : (toHash ?? undefined),
      about: stated({
        actor: actor?.name,
        at: dateOf(date),
        commit:
          commit &&
          stated({
            message: commit.message,
            author: commit.author?.name,
            email: commit.author?.emailAddress,
          }),
      }),
    });
  });
}

const Side = Type.Object({
  id: Type.String(),
  displayId: Type.String(),
  latestCommit: Sha,
  repository: DataCenterRepository,
});

const asPullRequest = readerOf(
  Type.Object({
    date: Maybe(Type.String()),
    actor: Actor,
    pullRequest: Type.Object({
      id: Type.Integer(),
      title: Maybe(Type.String()),
      fromRef: Side,
      toRef: Side,
      links: Links,
    }),
  }),
);

function readPullRequest(payload: unknown, repository: Repository): readonly ForgeEvent[] {
  const { date, actor, pullRequest: pull } = asPullRequest(payload);
  const { fromRef, toRef } = pull;
  const other = stranger(repository, nameOf(toRef.repository));
  if (other !== undefined) return [ignored(other)];
  return [
    pullEvent({
      number: pull.id,
      title: pull.title,
      ref: `refs/pull-requests/${pull.id}/from`,
      head: {
        branch: fromRef.displayId,
        sha: fromRef.latestCommit,
        repository: fromRef.repository.id,
        url: fromRef.repository.links?.clone?.find(({ name }) => name.startsWith('http'))?.href,
      },
      base: { branch: toRef.displayId, sha: toRef.latestCommit, repository: toRef.repository.id },
      about: stated({ actor: actor?.name, at: dateOf(date), url: pull.links?.self?.[0]?.href }),
    }),
  ];
}

type Reader = (payload: unknown, repository: Repository) => readonly ForgeEvent[];

/** By `X-Event-Key`. */
export const dataCenterReaders: ReadonlyMap<string, Reader> = new Map([
  ['repo:refs_changed', readPush],
  ['pr:opened', readPullRequest],
  ['pr:reopened', readPullRequest],
  ['pr:from_ref_updated', readPullRequest],
]);
