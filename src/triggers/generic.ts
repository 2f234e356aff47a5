import { Type } from 'typebox';
import type { Repository } from '../repositories.ts';
import type { Forge, ForgeEvent } from './forge.ts';
import { stranger } from './identity.ts';
import { instantOf, jsonOf, Maybe, readerOf, Sha, stated } from './payload.ts';
import { ignored, refEvent } from './ref-update.ts';
import { digestIn, headerOf, isRecent, isSigned } from './signature.ts';

/**
 * Any git server that can run a script after a push (examples/hooks/post-receive). It signs `<timestamp>.<body>`; as no
 * one but its owner pushes there, all of it is trusted.
 */
export const generic: Forge = {
  kind: 'generic',
  authenticate: ({ headers, body }, secrets) => {
    const timestamp = headerOf(headers, 'x-cofferdam-timestamp');
    if (!isRecent(timestamp)) return false;
    return isSigned(signatureIn(headers), [`${timestamp}.`, body], secrets);
  },
  // A branch may move from one commit to another twice: only the same time makes it the same delivery.
  deliveryId: (headers) => signatureIn(headers)?.toString('hex'),
  headers: [],
  read: (message, repository) => readPush(jsonOf(message), repository),
  statusRequest: () => undefined,
};

const signatureIn = (headers: Parameters<typeof headerOf>[0]) =>
  digestIn(headerOf(headers, 'x-cofferdam-signature'), 'sha256=');

const Update = {
  ref: Type.String(),
  before: Maybe(Sha),
  after: Sha,
  message: Maybe(Type.String()),
  author: Maybe(Type.String()),
  email: Maybe(Type.String()),
};

const asPush = readerOf(
  Type.Object({
    repository: Maybe(Type.String()),
    actor: Maybe(Type.String()),
    at: Maybe(Type.String()),
    url: Maybe(Type.String()),
    refs: Type.Array(Type.Object(Update), { minItems: 1, maxItems: 1000 }),
  }),
);

function readPush(payload: unknown, repository: Repository): readonly ForgeEvent[] {
  const { repository: told, actor, at, url, refs } = asPush(payload);
  const other = typeof told === 'string' ? stranger(repository, told) : undefined;
  if (other !== undefined) return [ignored(other)];
  return refs.map(({ ref, before, after, message, author, email }) =>
    refEvent({
      ref,
      before: before ?? undefined,
      after,
      about: stated({ actor, at: instantOf(at), url, commit: stated({ message, author, email }) }),
    }),
  );
}
