import type { Fence, Records } from '../records.ts';
import type { Result } from './claim.ts';
import { type Dispatcher, parseHanded } from './dispatch.ts';
import { canonicalLabels } from './place.ts';
import { type Call, QueueStateLostError } from './scripts.ts';
import { mostAttempts, mostDeaths, type Timing } from './timing.ts';

export interface SettleParts {
  readonly call: Call;
  readonly dispatcher: Dispatcher;
  readonly records: Records;
  readonly timing: Timing;
  readonly trouble: (error: unknown) => void;
}

const ended = new Set(['passed', 'failed', 'errored', 'canceled', 'timed_out']);

/** Tells the queue how attempts ended, until it has heard; and puts ended builds into the archive. */
export function createSettle({ call, dispatcher, records, timing, trouble }: SettleParts) {
  const archiving = new Set<Promise<void>>();

  /** In the background: if it fails, or this process dies, another one does it some seconds later. */
  const archive = (id: string): void => {
    const done = records
      .archive(id)
      .catch(trouble)
      .finally(() => archiving.delete(done));
    archiving.add(done);
  };

  const say = async ({ id, attempt, worker }: Fence, result: Result): Promise<void> => {
    const fence = [id, attempt, worker, new Date().toISOString()] as const;
    if (result.kind === 'finished' && ended.has(result.record.status)) {
      const { status, reason = '', message = '' } = result.record;
      const args = [status, reason, brief(message), JSON.stringify(result.record)];
      const [kind, admitted] = await call('finish', ...fence, ...args);
      if (kind === 'ok') archive(id);
      await dispatcher.add(parseHanded(admitted));
      return;
    }
    const { kind, reason, message, record, mostTries = mostAttempts } = givenBack(result);
    const labels = result.kind === 'requeue' && result.labels ? canonicalLabels(result.labels) : sameLabels;
    const limits = [mostTries, mostDeaths, ...timing.backoffMs];
    const args = [kind, reason, brief(message), record, labels, ...limits];
    const reply = await call('giveBack', ...fence, ...args);
    if (ended.has(reply[1])) archive(id);
    await dispatcher.add(parseHanded(reply[2]));
  };

  return {
    archive,
    /** Resolves when the queue knows, or refused it as stale; tries again while Redis is away, unless `closed`. */
    attempt: async (fence: Fence, result: Result, closed: () => boolean): Promise<void> => {
      for (;;) {
        try {
          await say(fence, result);
          return;
        } catch (error) {
          trouble(error);
          if (error instanceof QueueStateLostError || closed()) return;
          await new Promise((resolve) => setTimeout(resolve, timing.tickMs));
        }
      }
    },
    /** A worker that is leaving by itself; nothing is held against builds that it still had. */
    goodbye: async (session: string): Promise<void> => {
      const args = [session, new Date().toISOString(), '', mostDeaths];
      const [, admitted] = await call('bury', ...args);
      await dispatcher.add(parseHanded(admitted));
    },
    /** Resolves when nothing is being archived. */
    archived: async (): Promise<void> => {
      while (archiving.size > 0) await Promise.all(archiving);
    },
  };
}

export type Settle = ReturnType<typeof createSettle>;

interface GivenBack {
  readonly kind: 'requeue' | 'aside' | 'infrastructure';
  readonly reason: string;
  readonly message: string;
  /** JSON; '': none. */
  readonly record: string;
  readonly mostTries?: number;
}

function givenBack(result: Result): GivenBack {
  if (result.kind === 'requeue' || result.kind === 'aside') {
    const record = result.record ? JSON.stringify(result.record) : '';
    return { kind: result.kind, reason: '', message: result.reason, record };
  }
  if (result.kind === 'finished') {
    const message = `the worker ended the build in the state '${result.record.status}', which is no end`;
    return { kind: 'infrastructure', reason: 'internal', message, record: '' };
  }
  const { kind, reason, message, mostTries } = result;
  const record = JSON.stringify({ ...result.record, status: 'errored', reason, message });
  return { kind, reason, message, record, ...(mostTries !== undefined && { mostTries }) };
}

/** What is no JSON; '' are no labels at all. */
const sameLabels = 'same';

/** Messages stand in every list of attempts. */
function brief(message: string): string {
  return message.length <= 1000 ? message : `${message.slice(0, 999)}…`;
}
