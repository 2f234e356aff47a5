import type { Logger } from 'pino';
import type { BuildRecord } from '../build.ts';
import type { Report, Settled } from '../queue/reports.ts';
import type { Records } from '../records.ts';
import type { ForgeKind, Repositories } from '../repositories.ts';
import type { BuildSpec } from '../spec.ts';
import type { Forge, StatusRequest } from '../triggers/forge.ts';
import type { Answer } from './answer.ts';
import { post } from './post.ts';
import { type Backoff, backoffMs, createRests } from './rests.ts';
import { isFinal, isFurther, statusOf } from './state.ts';

/** Milliseconds. */
export interface TellerPace {
  /** What a forge has to answer. */
  readonly timeoutMs: number;
  /** When a forge failed; tried again for ever. */
  readonly failed: Backoff;
  /** When it denied a status; given up after `most` times. */
  readonly denied: Backoff & { readonly most: number };
  /** After a verdict, for earlier requests without an answer to arrive; then the verdict is told once more. */
  readonly confirmMs: number;
}

export interface TellerParts {
  readonly records: Records;
  readonly repositories: Pick<Repositories, 'get' | 'keys'>;
  readonly forgeOf: (kind: ForgeKind) => Forge;
  readonly logger: Logger;
  readonly pace: TellerPace;
  /** Aborted: requests under way are broken off. */
  readonly cut: AbortSignal;
}

/** What came of a report, and whether no state of its build can follow. */
export interface Told {
  readonly settled: Settled;
  readonly ended: boolean;
}

type Resting = { readonly kind: 'resting'; readonly afterMs: number };

/** Tells forges the state that a build is in, one request at a time and commit. */
export function createTeller({ records, repositories, forgeOf, logger, pace, cut }: TellerParts) {
  const rests = createRests(pace.failed);

  /** Undefined: there is nobody to be told, or not yet. */
  const requestOf = async (
    { source, ...spec }: BuildSpec,
    record: BuildRecord,
    publicUrl: string,
  ): Promise<StatusRequest | undefined> => {
    if (source.kind !== 'git' || source.repository === undefined) return undefined;
    const repository = await repositories.get(source.repository);
    const status = statusOf(record, spec, source, publicUrl);
    if (!repository || !status) return undefined;
    const token = (await repositories.keys(repository.name))?.forgeToken;
    return token === undefined
      ? undefined
      : forgeOf(repository.forge).statusRequest(repository, token, status);
  };

  const ask = async (request: StatusRequest, origin: string): Promise<Answer | Resting> => {
    const left = rests.left(origin);
    if (left > 0) return { kind: 'resting', afterMs: left + Math.random() * pace.failed.firstMs };
    const began = performance.now();
    const answer = await post(request, pace.timeoutMs, cut);
    if (answer.kind === 'accepted' || answer.kind === 'denied') rests.answered(origin);
    else if (!cut.aborted) rests.failed(origin, began, answer.afterMs);
    return answer;
  };

  return {
    /** @param leftMs of the lease. Undefined: too little is left to wait for an answer. */
    tell: async (
      { build, state, accepted, failed, denied }: Report,
      publicUrl: string,
      leftMs: () => number,
    ): Promise<Told | undefined> => {
      const stored = await records.get(build);
      if (!stored) return { settled: { kind: 'nothing' }, ended: true };
      const { spec, record, status } = stored;
      const ended = isFinal(status);
      // A worker may have given it back, or it went on meanwhile: then it is due again at once.
      const isNews = status === state && isFurther(status, accepted);
      const request = isNews ? await requestOf(spec, record, publicUrl) : undefined;
      if (!request) return { settled: { kind: 'nothing' }, ended };
      if (leftMs() < pace.timeoutMs) return undefined;
      const { origin } = new URL(request.url);
      const answer = await ask(request, origin);
      if (answer.kind === 'resting') return { settled: answer, ended };
      if (answer.kind === 'accepted') {
        return { settled: { kind: 'told', status, confirmMs: pace.confirmMs }, ended };
      }
      const fields = { build, status, project: spec.project, forge: origin, why: answer.why };
      if (answer.kind !== 'denied') {
        logger.warn(fields, 'a forge did not take a commit status; tried again');
        const afterMs = Math.max(answer.afterMs ?? 0, cut.aborted ? 0 : backoffMs(pace.failed, failed));
        return { settled: { kind: answer.kind, afterMs }, ended };
      }
      if (denied + 1 < pace.denied.most) {
        logger.warn(fields, 'a forge denies a commit status; tried again some times');
        return { settled: { kind: 'denied', afterMs: backoffMs(pace.denied, denied) }, ended };
      }
      logger.error(
        fields,
        'a forge denied a commit status, and was given up; look at its token and API address',
      );
      const why = `${origin} was not told that the build is ${status}: ${answer.why}`;
      return { settled: { kind: 'refused', why }, ended };
    },
  };
}
