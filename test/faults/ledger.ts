import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildRecord } from '../../src/build.ts';
import type { Client } from '../../src/client.ts';
import { type Job, submissionOf } from './job.ts';

/** An acknowledged build, and all that was seen of it. */
export interface Entry {
  readonly id: string;
  readonly key: string;
  readonly job: Job;
  /** Verdicts by who told: `list`, `show`, `sse`. More than one value is a violation. */
  readonly verdicts: Set<string>;
  /** What SSE brought, by attempt. */
  readonly logs: Map<number, Buffer[]>;
  canceled: boolean;
  last: BuildRecord | undefined;
}

/** Everything that was acknowledged, watched from then on. */
export interface Ledger {
  readonly entries: readonly Entry[];
  /** What no follower may see: bytes twice or missing, a verdict taken back. */
  readonly violations: string[];
  /** Submits until it is acknowledged, always with the same key. */
  submit(job: Job): Promise<Entry>;
  /** Resolves when every build has ended; otherwise says which have not. */
  drain(patienceMs: number): Promise<string | undefined>;
  close(): Promise<void>;
}

const active = new Set(['queued', 'running']);

/** A verdict in one word. */
export function verdictOf({ status, reason }: Pick<BuildRecord, 'status' | 'reason'>): string {
  return reason === undefined ? status : `${status}/${reason}`;
}

export function openLedger(client: Client): Ledger {
  const entries: Entry[] = [];
  const violations: string[] = [];
  const stop = new AbortController();
  const watching: Promise<void>[] = [];

  const note = (entry: Entry, record: BuildRecord, who: string) => {
    const ended = !active.has(record.status);
    if (!ended && entry.verdicts.size > 0) {
      violations.push(`I2 ${entry.id}: ${who} says ${record.status} after ${[...entry.verdicts].join()}`);
    }
    if (ended) entry.verdicts.add(verdictOf(record));
    entry.last = record;
  };

  const follow = async (entry: Entry): Promise<void> => {
    try {
      for await (const event of client.follow(entry.id, stop.signal)) {
        if (event.type === 'end') note(entry, event.record, 'sse');
        if (event.type !== 'log') continue;
        const chunks = entry.logs.get(event.attempt) ?? [];
        chunks.push(event.data);
        entry.logs.set(event.attempt, chunks);
      }
    } catch (error) {
      if (!stop.signal.aborted) violations.push(`I4 ${entry.id}: following ended with ${String(error)}`);
    }
  };

  const look = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const began = new Map(entries.map((entry) => [entry, entry.verdicts.size > 0]));
      for (const [entry, knew] of began) {
        if (knew) continue;
        const record = await client.build(entry.id).catch(() => undefined);
        // While it was asked, another watcher may have heard more.
        if (record && (!active.has(record.status) || entry.verdicts.size === 0)) note(entry, record, 'show');
      }
      await sleep(250, undefined, { signal: stop.signal }).catch(() => {});
    }
  };
  watching.push(look());

  return {
    entries,
    violations,
    submit: async (job) => {
      const key = randomUUID();
      const { id } = await client.submit(submissionOf(job), key);
      const entry = {
        id,
        key,
        job,
        canceled: false,
        last: undefined,
        verdicts: new Set<string>(),
        logs: new Map<number, Buffer[]>(),
      };
      entries.push(entry);
      watching.push(follow(entry));
      return entry;
    },
    drain: async (patienceMs) => {
      for (const deadline = performance.now() + patienceMs; ; await sleep(50)) {
        const open = entries.filter(({ verdicts }) => verdicts.size === 0);
        if (open.length === 0) return undefined;
        if (performance.now() < deadline) continue;
        return open.map(({ id, last }) => `${id} (${last?.status ?? 'never seen'})`).join(', ');
      }
    },
    close: async () => {
      stop.abort();
      await Promise.all(watching);
    },
  };
}
