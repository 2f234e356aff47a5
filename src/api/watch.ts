import type { BuildRecord } from '../build.ts';
import type { Records } from '../records.ts';

/** Something about a build that changed: sent as an event of its own. */
interface Change {
  readonly type: 'status' | 'step';
  readonly event: object;
}

/** What one follower has not yet seen of a build's record. */
export interface RecordView {
  /** Changes since the last call, each in its latest state; all of the present at the first. */
  changes(): Change[];
  /** As far as it is known; `attempt` 0: no worker has taken it yet. */
  state(): { readonly attempt: number; readonly finished: boolean };
  close(): void;
}

interface Watched {
  readonly id: string;
  readonly watchers: Set<() => void>;
  /** By what they are about; `version` is when they came. */
  readonly parts: Map<string, { readonly json: string; readonly version: number; readonly change: Change }>;
  version: number;
  state: ReturnType<RecordView['state']>;
  reading: 'no' | 'yes' | 'again';
  unsubscribe(): void;
}

/** Follows the records of builds: one subscription and one read of a change a build, however many look on. */
export function watchRecords(records: Records) {
  const builds = new Map<string, Watched>();

  const put = (build: Watched, key: string, change: Change) => {
    const json = JSON.stringify(change.event);
    if (build.parts.get(key)?.json === json) return;
    build.parts.set(key, { json, version: ++build.version, change });
  };

  const take = (build: Watched, { status, reason, attempt, workflows }: BuildRecord) => {
    build.state = { attempt, finished: status !== 'queued' && status !== 'running' };
    const event = { status, attempt, ...(reason !== undefined && { reason }) };
    put(build, 'status', { type: 'status', event });
    for (const workflow of workflows) {
      for (const step of workflow.steps) {
        const key = `step ${workflow.name} ${step.name}`;
        put(build, key, { type: 'step', event: { workflow: workflow.name, ...step } });
      }
    }
    for (const wake of build.watchers) wake();
  };

  /** A change during a read is read after it: the last one is never missed. */
  const refresh = async (build: Watched): Promise<void> => {
    if (build.reading !== 'no') {
      build.reading = 'again';
      return;
    }
    do {
      build.reading = 'yes';
      // What cannot be read now comes with the next change; `end` brings the whole record anyway.
      const stored = await records.get(build.id).catch(() => undefined);
      if (stored) take(build, stored.record);
    } while (isAgain(build));
    build.reading = 'no';
  };

  return (first: BuildRecord, wake: () => void): RecordView => {
    let build = builds.get(first.id);
    if (!build) {
      const fresh: Watched = {
        id: first.id,
        watchers: new Set(),
        parts: new Map(),
        version: 0,
        state: { attempt: 0, finished: false },
        reading: 'no',
        // Log growth comes often and changes nothing here.
        unsubscribe: records.subscribe(first.id, ({ kind }) => void (kind !== 'log' && refresh(fresh))),
      };
      build = fresh;
      builds.set(first.id, build);
      take(build, first);
    }
    const watched = build;
    watched.watchers.add(wake);
    let seen = 0;
    return {
      changes: () => {
        const fresh = [...watched.parts.values()].filter(({ version }) => version > seen);
        seen = watched.version;
        return fresh.map(({ change }) => change);
      },
      state: () => watched.state,
      close: () => {
        watched.watchers.delete(wake);
        if (watched.watchers.size > 0 || builds.get(watched.id) !== watched) return;
        builds.delete(watched.id);
        watched.unsubscribe();
      },
    };
  };
}

/** Asked through a function: it changes while refresh() waits. */
const isAgain = ({ reading }: Watched) => reading === 'again';
