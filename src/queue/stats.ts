import { decodeTime } from 'ulid';

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
  /** Not to be started yet: asked for later, or tried again later. */
  readonly delayed: number;
  readonly waiting: number;
  /** Admitted, and not claimed by a worker yet. */
  readonly ready: number;
  readonly running: number;
  /** When the oldest build that could run was accepted (ISO 8601). */
  readonly oldestWaitingSince?: string;
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
export function parseStats(reply: unknown): QueueStats {
  const [total = '', oldest = '', lanes = '', projects = '', workers = ''] = reply as string[];
  const parsed = {
    total: JSON.parse(total) as Pick<QueueStats, 'delayed' | 'waiting' | 'ready' | 'running'>,
    lanes: JSON.parse(lanes) as { labels: string; avoids: string; waiting: number; projects: number }[],
    projects: JSON.parse(projects) as QueueStats['projects'],
    workers: JSON.parse(workers) as { info: string; slots: number; running: number }[],
  };
  return {
    ...parsed.total,
    ...(oldest !== '' && { oldestWaitingSince: new Date(decodeTime(oldest)).toISOString() }),
    lanes: parsed.lanes.map(({ labels, avoids, ...counts }) => ({
      labels: labels === '' ? {} : (JSON.parse(labels) as Record<string, string>),
      ...(avoids !== '' && { avoids }),
      ...counts,
    })),
    projects: parsed.projects,
    workers: parsed.workers.map(({ info, slots, running }) => ({
      ...(JSON.parse(info) as WorkerInfo),
      slots,
      running,
    })),
  };
}
