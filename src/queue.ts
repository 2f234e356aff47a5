import { monotonicFactory } from 'ulid';
import type { BuildRecord } from './build.ts';
import { ApprovalError } from './queue/approval.ts';
import type { Caps } from './queue/caps.ts';
import type { Handler } from './queue/claim.ts';
import { type Consumer, startConsumer } from './queue/consumer.ts';
import { createDispatcher, parseHanded } from './queue/dispatch.ts';
import { IdempotencyError } from './queue/idempotency.ts';
import { createObituary } from './queue/obituary.ts';
import type { Flat } from './queue/replies.ts';
import { createReports, type Reports } from './queue/reports.ts';
import { requestOf } from './queue/request.ts';
import { createCall } from './queue/scripts.ts';
import { createSettle } from './queue/settle.ts';
import { parseStats, type QueueStats, type WorkerInfo } from './queue/stats.ts';
import { defaultTiming, mostDeaths, type Timing } from './queue/timing.ts';
import { type Fact, whyWaiting } from './queue/why.ts';
import { parseOwn } from './records/json.ts';
import type { Records } from './records.ts';
import type { RedisHandle } from './redis.ts';
import { type BuildSpec, queuedRecord } from './spec.ts';

/** There is no such build, or it cannot be repeated yet; the message says which. */
export class RetryError extends Error {
  override readonly name = 'RetryError';
  readonly kind: 'unknown' | 'active';

  constructor(kind: RetryError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * Builds that wait and run. Every accepted build ends exactly once. All calls reject when Redis is away, and throw
 * QueueStateLostError when its data was replaced.
 */
export interface Queue {
  /**
   * Accepts a build; durable as Redis is when it resolves. The same key from the same token within 24 hours returns the
   * first one's build, `created` false; throws IdempotencyError when something else was asked for with it.
   */
  submit(spec: BuildSpec, idempotencyKey?: string): Promise<{ record: BuildRecord; created: boolean }>;
  /** `canceled`: it ended at once. `canceling`: its worker has been told. */
  cancel(id: string): Promise<'canceled' | 'canceling' | 'finished' | 'unknown'>;
  /** Lets a held build into the line; the record says who did. Again it does nothing. Throws ApprovalError. */
  approve(id: string, by: string): Promise<void>;
  /**
   * A new build of what an ended one was asked for, to be run at once, or when it is approved; of the commit that that one
   * had, where a worker had found one. Somebody wants this very one: it neither cancels others nor is canceled by newer
   * ones. Throws RetryError.
   */
  retry(id: string, requestedBy: string): Promise<BuildRecord>;
  /** Why a build does not run, in one sentence; undefined when it does, has ended, or is unknown. */
  why(id: string): Promise<string | undefined>;
  stats(): Promise<QueueStats>;
  /**
   * Admits builds to free slots, buries dead workers, mends what got lost between Redis and BullMQ, archives what
   * others did not. To be called every second by every process; consumers do it themselves.
   */
  tick(): Promise<void>;
  consume(worker: WorkerInfo, handler: Handler): Consumer;
  /** What is left to be told to forges. */
  readonly reports: Reports;
  /** After the consumers. */
  close(): Promise<void>;
}

export interface QueueOptions {
  /** Default: any number of builds of a project, one of a group. The same in all processes. */
  readonly caps?: Caps;
  readonly timing?: Timing;
  /** Errors of work in the background that is tried again; default: ignored. */
  readonly onTrouble?: (error: unknown) => void;
}

const mostProjectsInStats = 1000;

export function openQueue(redis: RedisHandle, records: Records, options: QueueOptions = {}): Queue {
  const {
    caps = { project: undefined, group: 1 },
    timing = defaultTiming,
    onTrouble: trouble = () => {},
  } = options;
  const call = createCall(redis, caps);
  const dispatcher = createDispatcher(redis, call, timing.lostMs);
  const settle = createSettle({ call, dispatcher, records, timing, trouble });
  const obituary = createObituary(timing.lockMs, timing.tickMs * 2);
  const nextId = monotonicFactory();
  let ticking: Promise<void> | undefined;

  /** The caller's work is done; what BullMQ does not get now the next tick brings. */
  const dispatch = (admitted: Flat): void => {
    dispatcher.add(parseHanded(admitted)).catch(trouble);
  };

  const submit: Queue['submit'] = async (spec, idempotencyKey) => {
    const args = requestOf(spec, redis.prefix, idempotencyKey);
    const [kind, id, admitted, number, ended] = await call('submit', ...args);
    if (kind === 'created') {
      dispatch(admitted);
      for (const each of ended) settle.archive(each);
      if (!ended.includes(id)) return { record: { ...queuedRecord(spec), number }, created: true };
    }
    if (kind === 'different') throw new IdempotencyError(idempotencyKey ?? '', id);
    const first = await records.get(id);
    if (!first) throw new Error(`build ${id} was accepted, and cannot be read`);
    return { record: first.record, created: kind === 'created' };
  };

  const tickOnce = async (): Promise<void> => {
    const reply = await call('tick', timing.archiveMs);
    const [admitted, beats, overdue, ready] = reply;
    await dispatcher.add(parseHanded(admitted));
    const pairs = beats.flatMap((session, i) =>
      i % 2 === 0 ? [[session, beats[i + 1] ?? ''] as const] : [],
    );
    for (const [session, beat] of obituary.look(new Map(pairs))) {
      const args = [session, new Date().toISOString(), beat, mostDeaths];
      const [, freed] = await call('bury', ...args);
      await dispatcher.add(parseHanded(freed));
    }
    await dispatcher.recheck(parseHanded(ready));
    for (const id of overdue) settle.archive(id);
    await settle.archived();
  };
  const tick = () => (ticking ??= tickOnce().finally(() => (ticking = undefined)));

  return {
    submit,
    cancel: async (id) => {
      const [kind, admitted] = await call('cancel', id, new Date().toISOString());
      dispatch(admitted);
      if (kind === 'canceled') settle.archive(id);
      return kind;
    },
    approve: async (id, by) => {
      const [kind, admitted] = await call('approve', id, new Date().toISOString(), by);
      dispatch(admitted);
      if (kind !== 'approved') throw new ApprovalError(kind, id);
    },
    retry: async (id, requestedBy) => {
      const stored = await records.get(id);
      if (!stored) throw new RetryError('unknown', `there is no build ${id}`);
      if (stored.status === 'queued' || stored.status === 'running') {
        throw new RetryError(
          'active',
          `build ${id} is ${stored.status}; it can be repeated when it has ended`,
        );
      }
      const { notBefore: _, supersedeKey: __, ...spec } = stored.spec;
      const { sha } = stored.record.source;
      const source = spec.source.kind === 'git' && sha !== undefined ? { ...spec.source, sha } : spec.source;
      return (await submit({ ...spec, source, id: nextId(), requestedBy, retryOf: id })).record;
    },
    why: async (id) => whyWaiting(parseOwn<Fact>(await call('explain', id)), caps.group),
    stats: async () => parseStats(await call('stats', mostProjectsInStats)),
    tick,
    reports: createReports(call),
    consume: (worker, handler) =>
      startConsumer({ redis, call, dispatcher, settle, timing, tick, trouble }, worker, handler),
    close: async () => {
      await ticking?.catch(() => {});
      await settle.archived();
      await dispatcher.close();
    },
  };
}
