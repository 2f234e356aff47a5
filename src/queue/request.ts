import { createHash } from 'node:crypto';
import { branchIndex } from '../records/indexes.ts';
import type { BuildSpec } from '../spec.ts';
import { contextOf } from '../statuses/context.ts';
import { shortRef } from '../trigger.ts';
import { fingerprintOf, idempotencyKeyOf } from './idempotency.ts';
import { placeOf } from './place.ts';

/** What the script `submit` is told of a build besides its place; absent: nothing of the kind. */
interface Wishes {
  /** Not to be started earlier, ms. */
  readonly due?: number;
  /** Digest of the upload that it needs. */
  readonly upload?: string;
  readonly hold?: 'approval';
  /** The same for all builds of which a newer one cancels the older ones. */
  readonly line?: string;
  /** When what it is for happened, ms. */
  readonly happened?: number;
  /** The same for all builds whose states a forge shows in one place. */
  readonly commit?: string;
}

/** Arguments of the script `submit`. */
export function requestOf(spec: BuildSpec, prefix: string, idempotencyKey?: string): string[] {
  const ref = 'ref' in spec.source && spec.source.ref !== undefined ? shortRef(spec.source.ref) : undefined;
  return [
    spec.id,
    new Date().toISOString(),
    JSON.stringify(spec),
    placeOf(spec),
    JSON.stringify(wishesOf(spec)),
    ref === undefined ? '' : prefix + branchIndex(spec.project, ref),
    idempotencyKey === undefined ? '' : idempotencyKeyOf(spec.requestedBy, idempotencyKey),
    fingerprintOf(spec),
  ];
}

function wishesOf({ id, project, source, trigger, ...spec }: BuildSpec): Wishes {
  const happened = Date.parse(trigger.at ?? '');
  // A build whose commit is not known yet shares its place with none.
  const commit =
    source.kind === 'git' && source.sha !== undefined
      ? [source.repository ?? project, source.sha, contextOf(trigger)]
      : [id];
  return {
    ...(spec.notBefore !== undefined && { due: Date.parse(spec.notBefore) }),
    ...(source.kind === 'upload' && { upload: source.digest }),
    ...(spec.hold && { hold: spec.hold }),
    ...(spec.supersedeKey !== undefined && { line: digest([project, spec.supersedeKey]) }),
    ...(happened > 0 && { happened }),
    ...(spec.report && { commit: digest(commit) }),
  };
}

/** A short name for keys. */
function digest(texts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(texts)).digest('base64url').slice(0, 22);
}
