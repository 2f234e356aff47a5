/** What the scripts of the queue reply; the scripts say what it means. */

/** Builds to be given to BullMQ, flat: id, n, class, id, n, class, … */
export type Flat = readonly (string | number)[];

export interface Replies {
  readonly submit: readonly [
    kind: 'created' | 'existing' | 'different',
    id: string,
    admitted: Flat,
    number: number,
    ended: readonly string[],
  ];
  readonly claim:
    | readonly ['claimed', attempt: number, spec: string, attempts: string, number: number, sha: string]
    | readonly ['refused', admitted: Flat]
    | readonly ['gone'];
  readonly finish: readonly ['ok' | 'stale', admitted: Flat];
  readonly giveBack: readonly ['ok' | 'stale', status: string, admitted: Flat];
  readonly cancel: readonly ['canceled' | 'canceling' | 'finished' | 'unknown', admitted: Flat];
  readonly approve: readonly ['approved' | 'unheld' | 'finished' | 'unknown', admitted: Flat];
  readonly register: readonly [admitted: Flat];
  /** `stale` and `cancel` flat: id, attempt. */
  readonly beat: readonly ['ok' | 'buried', stale: Flat, cancel: Flat, admitted: Flat];
  readonly bury: readonly ['buried' | 'alive' | 'gone', admitted: Flat];
  /** `beats` flat: session, heartbeats. */
  readonly tick: readonly [admitted: Flat, beats: readonly string[], overdue: readonly string[], ready: Flat];
  readonly handAgain: Flat;
  /** `waits` is JSON of a Blocker, or ''. */
  readonly announceTurns: readonly ['ok' | 'stale', taken: readonly string[], waits: string];
  readonly takeTurn: readonly ['taken' | 'stale'] | readonly ['waits', blocker: string];
  readonly leaveTurn: readonly ['ok' | 'stale', admitted: Flat];
  readonly takeReports: readonly (readonly [
    commit: string,
    version: number,
    build: string,
    accepted: string,
    failed: number,
    denied: number,
    state: string,
  ])[];
  readonly settleReport: 0 | 1;
  /** JSON. */
  readonly explain: string;
  /** Five times JSON; the second one is the oldest waiting build's id, or ''. */
  readonly stats: readonly [string, string, string, string, string];
}
