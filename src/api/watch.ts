import type { BuildRecord } from '../build.ts';
import type { Records } from '../records.ts';

/** Something about a build that changed: sent as an event of its own. */
interface Change {
  readonly type: 'status' | 'step' | 'service';
  readonly event: object;
}

/** What one follower has not yet seen of a build's record. */
export interface RecordView {
  /** Changes since the last call, each in its latest state; all of the present at the first. */
  changes(): Change[];
  /** As far as it is known. */
  record(): BuildRecord;
  /** Reads the record again, once for all who ask; `wake` is called when that brought something. */
  refresh(): void;
  close(): void;
}

interface Watched {
  readonly id: string;
  readonly watchers: Set<() => void>;
  /** By what they are about; `version` is when they came. */
  readonly parts: Map<string, { readonly json: string; readonly version: number; readonly change: Change }>;
  version: number;
  record: BuildRecord;
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

  const take = (build: Watched, record: BuildRecord) => {
    build.record = record;
    const { status, reason, attempt, workflows } = record;
    const event = { status, attempt, ...(reason !== undefined && { reason }) };
    put(build, 'status', { type: 'status', event });
    for (const workflow of workflows) {
      for (const step of workflow.steps) {
        const key = `step ${workflow.name} ${step.name}`;
        put(build, key, { type: 'step', event: { workflow: workflow.name, ...step } });
      }
      for (const service of workflow.services ?? []) {
        const key = `service ${workflow.name} ${service.name}`;
        put(build, key, { type: 'service', event: { workflow: workflow.name, ...service } });
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
      // What cannot be read now comes with the next change, or when a follower asks again.
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
        record: first,
        reading: 'no',
        // Log growth comes often and changes nothing here; what is finished does not change any more.
        unsubscribe: isFinished(first)
          ? () => {}
          : records.subscribe(first.id, ({ kind }) => void (kind !== 'log' && refresh(fresh))),
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
      record: () => watched.record,
      refresh: () => void refresh(watched),
      close: () => {
        watched.watchers.delete(wake);
        if (watched.watchers.size > 0 || builds.get(watched.id) !== watched) return;
        builds.delete(watched.id);
        watched.unsubscribe();
      },
    };
  };
}

/** Nothing about it changes any more. */
export function isFinished({ status }: BuildRecord): boolean {
  return status !== 'queued' && status !== 'running';
}

/** Asked through a function: it changes while refresh() waits. */
const isAgain = ({ reading }: Watched) => reading === 'again';
