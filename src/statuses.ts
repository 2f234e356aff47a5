import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { BuildRecord } from './build.ts';
import type { Queue } from './queue.ts';
import type { Report, Settled } from './queue/reports.ts';
import type { Records } from './records.ts';
import type { ForgeKind, Repositories } from './repositories.ts';
import type { BuildSpec } from './spec.ts';
import type { Answer } from './statuses/answer.ts';
import { post } from './statuses/post.ts';
import { type Backoff, backoffMs, createRests } from './statuses/rests.ts';
import { isFinal, isFurther, statusOf } from './statuses/state.ts';
import type { Forge, StatusRequest } from './triggers/forge.ts';

/** Milliseconds. */
export interface StatusPace {
  /** Between two looks for what is due. */
  readonly pollMs: number;
  /** What a forge has to answer. */
  readonly timeoutMs: number;
  /** After a crash, others tell what was being told; well above `timeoutMs`. */
  readonly leaseMs: number;
  /** When a forge failed; tried again for ever. */
  readonly failed: Backoff;
  /** When it denied a status; given up after `most` times. */
  readonly denied: Backoff & { readonly most: number };
}

/** Six tries in some ten minutes: a token that is being replaced, or a proxy that is being restarted. */
const defaultPace: StatusPace = {
  pollMs: 250,
  timeoutMs: 10_000,
  leaseMs: 30_000,
  failed: { firstMs: 1_000, mostMs: 300_000 },
  denied: { firstMs: 10_000, mostMs: 300_000, most: 6 },
};

/** At a time; a forge that is down rests, so these are not all its. */
const sideBySide = 16;

export interface StatusParts {
  readonly queue: Queue;
  readonly records: Records;
  readonly repositories: Pick<Repositories, 'get' | 'keys'>;
  readonly forgeOf: (kind: ForgeKind) => Forge;
  readonly logger: Logger;
  readonly pace?: StatusPace;
}

/** How often, since this process began, a forge accepted a status, failed to, denied it, and was given up. */
export type StatusCounts = Readonly<Record<'told' | 'failed' | 'denied' | 'refused', number>>;

export interface Statuses {
  readonly counts: StatusCounts;
  /** From now on forges are told. @param publicUrl where people reach the API; no slash at its end */
  start(publicUrl: string): void;
  /** What is being told is broken off, and told again by whoever comes next. */
  close(): Promise<void>;
}

/**
 * Tells forges how their builds fare. What is told is the state of the moment, if it is further than what the forge has
 * accepted: states in between may be left out, none comes after a later one.
 */
export function openStatuses({ pace = defaultPace, ...parts }: StatusParts): Statuses {
  const { queue, records, repositories, logger } = parts;
  const counts = { told: 0, failed: 0, denied: 0, refused: 0 };
  const rests = createRests(pace.failed);
  const closing = new AbortController();
  const flying = new Set<Promise<void>>();
  let url = '';
  let running = Promise.resolve();

  /** Undefined: there is nobody to be told, or not yet. */
  const requestOf = async (spec: BuildSpec, record: BuildRecord) => {
    const { source } = spec;
    const repository =
      source.kind === 'git' && source.repository !== undefined
        ? await repositories.get(source.repository)
        : undefined;
    if (source.kind !== 'git' || !repository) return undefined;
    const status = statusOf(record, spec, source, url);
    const token = (await repositories.keys(repository.name))?.forgeToken;
    if (!status || token === undefined) return undefined;
    return parts.forgeOf(repository.forge).statusRequest(repository, token, status);
  };

  const ask = async (
    request: StatusRequest,
  ): Promise<Answer | { readonly kind: 'resting'; readonly afterMs: number }> => {
    const { origin } = new URL(request.url);
    const left = rests.left(origin);
    if (left > 0) return { kind: 'resting', afterMs: left + Math.random() * pace.failed.firstMs };
    const began = performance.now();
    const answer = await post(request, pace.timeoutMs, closing.signal);
    if (closing.signal.aborted && answer.kind === 'failed') return { kind: 'resting', afterMs: 0 };
    if (answer.kind === 'failed') rests.failed(origin, began, answer.afterMs);
    else rests.answered(origin);
    return answer;
  };

  /** Undefined: the lease may be over before the forge answers. */
  const tell = async (
    { build, accepted, failed, denied }: Report,
    leftMs: () => number,
  ): Promise<readonly [Settled, ended: boolean] | undefined> => {
    const stored = await records.get(build);
    if (!stored) return [{ kind: 'nothing' }, true];
    const { spec, record, status } = stored;
    const ended = isFinal(status);
    const request = isFurther(status, accepted) ? await requestOf(spec, record) : undefined;
    if (!request) return [{ kind: 'nothing' }, ended];
    if (leftMs() < pace.timeoutMs) return undefined;
    const answer = await ask(request);
    if (answer.kind === 'resting') return [answer, ended];
    if (answer.kind === 'accepted') return [{ kind: 'told', status }, ended];
    const fields = {
      build,
      status,
      project: spec.project,
      forge: new URL(request.url).origin,
      why: answer.why,
    };
    if (answer.kind === 'failed') {
      logger.warn(fields, 'a forge did not take a commit status; tried again');
      const afterMs = Math.max(answer.afterMs ?? 0, backoffMs(pace.failed, failed));
      return [{ kind: 'failed', afterMs }, ended];
    }
    if (denied + 1 < pace.denied.most) {
      logger.warn(fields, 'a forge denies a commit status; tried again some times');
      return [{ kind: 'denied', afterMs: backoffMs(pace.denied, denied) }, ended];
    }
    logger.error(
      fields,
      'a forge denies a commit status, and was given up; look at the token and the API address',
    );
    const why = `${fields.forge} was not told that the build is ${status}: ${answer.why}`;
    return [{ kind: 'refused', why }, ended];
  };

  const handle = async (report: Report, until: number): Promise<void> => {
    const outcome = await tell(report, () => until - performance.now());
    if (!outcome) return;
    const [settled, ended] = outcome;
    if (settled.kind !== 'nothing' && settled.kind !== 'resting') counts[settled.kind]++;
    await queue.reports.settle(report, settled, ended);
  };
  const onTrouble = (error: unknown) =>
    logger.warn({ err: error }, 'commit statuses have trouble; tried again');

  const round = async (): Promise<'some' | 'none'> => {
    const until = performance.now() + pace.leaseMs;
    const taken = await queue.reports.take(sideBySide - flying.size, pace.leaseMs);
    for (const report of taken) {
      const done = handle(report, until)
        .catch(onTrouble)
        .finally(() => flying.delete(done));
      flying.add(done);
    }
    return taken.length > 0 ? 'some' : 'none';
  };
  const pause = () => sleep(pace.pollMs, undefined, { signal: closing.signal }).catch(() => {});
  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      const found = await round().catch((error: unknown) => (onTrouble(error), 'none' as const));
      if (found === 'none') await pause();
      while (flying.size >= sideBySide) await Promise.race(flying);
    }
    await Promise.all(flying);
  };

  return {
    counts,
    start: (publicUrl) => {
      url = publicUrl;
      running = run();
    },
    close: () => {
      closing.abort();
      return running;
    },
  };
}
