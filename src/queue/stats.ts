import { decodeTime } from 'ulid';
import { parseOwn } from '../records/json.ts';
import type { Replies } from './replies.ts';

/** What a worker says of itself. */
export interface WorkerInfo {
  /** Unique among running workers; no `#`. The same one after a restart, so that it can be told from others. */
  readonly id: string;
  readonly host: string;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Builds that it runs side by side. */
  readonly slots: number;
}

export interface QueueStats {
  /** Waiting for approval. */
  readonly held: number;
  /** Not to be started yet: asked for later, tried again later, or waiting for a turn. */
  readonly delayed: number;
  readonly waiting: number;
  /** Admitted, and not claimed by a worker yet. */
  readonly ready: number;
  readonly running: number;
  /** When the oldest build that could run was accepted (ISO 8601). */
  readonly oldestWaitingSince?: string;
  /** Commits whose forge is to be told how their builds fare. */
  readonly reports: number;
  /** Waiting builds by what they demand of a worker; `avoids` is a worker on which they failed. */
  readonly lanes: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly avoids?: string;
    readonly waiting: number;
    readonly projects: number;
  }[];
  /** Projects with waiting builds, the most waiting first, at most 1,000. `active`: ready or running. */
  readonly projects: readonly { readonly name: string; readonly waiting: number; readonly active: number }[];
  readonly workers: readonly (WorkerInfo & { readonly running: number })[];
}

/** Reads the reply of the script `stats`. */
export function parseStats([total, oldest, lanes, projects, workers]: Replies['stats']): QueueStats {
  const parsed = {
    total:
      parseOwn<Pick<QueueStats, 'held' | 'delayed' | 'waiting' | 'ready' | 'running' | 'reports'>>(total),
    lanes: parseOwn<{ labels: string; avoids: string; waiting: number; projects: number }[]>(lanes),
    projects: parseOwn<QueueStats['projects']>(projects),
    workers: parseOwn<{ info: string; slots: number; running: number }[]>(workers),
  };
  return {
    ...parsed.total,
    ...(oldest !== '' && { oldestWaitingSince: new Date(decodeTime(oldest)).toISOString() }),
    lanes: parsed.lanes.map(({ labels, avoids, ...counts }) => ({
      labels: labels === '' ? {} : parseOwn<Record<string, string>>(labels),
      ...(avoids !== '' && { avoids }),
      ...counts,
    })),
    projects: parsed.projects,
    workers: parsed.workers.map(({ info, slots, running }) => ({
      ...parseOwn<WorkerInfo>(info),
      slots,
      running,
    })),
  };
}
