/** Lets those who want the same thing have it one after another, in the order in which they asked. */
export interface Turns {
  /** Does `work` when nobody else has the key. Rejects with the signal's reason when it is aborted before. */
  take<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return {
    take: async (key, signal, work) => {
      const before = last.get(key);
      const done = Promise.withResolvers<void>();
      const mine = Promise.allSettled([before, done.promise]);
      last.set(key, mine);
      try {
        await before;
        signal.throwIfAborted();
        return await work();
      } finally {
        done.resolve();
        if (last.get(key) === mine) last.delete(key);
      }
    },
  };
}
