/**
 * Which workers are dead: those whose heartbeat does not move while this process looks on. Only the time between two
 * looks counts, and no gap for more than `longestGapMs`: neither a clock that is set, nor a Redis or an onlooker that
 * was stopped for a while, makes a living worker look dead.
 */
export function createObituary(lockMs: number, longestGapMs: number) {
  let watched = new Map<string, { readonly beat: string; readonly idleMs: number }>();
  let lastLook = 0;
  return {
    /** @param beats session → heartbeats so far. Returns sessions to bury, each with its last heartbeat. */
    look: (
      beats: ReadonlyMap<string, string>,
      nowMs = performance.now(),
    ): [session: string, beat: string][] => {
      const passed = Math.min(nowMs - lastLook, longestGapMs);
      lastLook = nowMs;
      const before = watched;
      watched = new Map(
        [...beats].map(([session, beat]) => {
          const known = before.get(session);
          return [session, { beat, idleMs: known?.beat === beat ? known.idleMs + passed : 0 }];
        }),
      );
      return [...watched]
        .filter(([, { idleMs }]) => idleMs >= lockMs)
        .map(([session, { beat }]) => [session, beat]);
    },
  };
}
