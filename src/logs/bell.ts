/** Wakes one waiter; a ring while nobody waits is kept until it is muffled. */
export interface Bell {
  readonly ring: () => void;
  /** Forgets rings until now. */
  muffle(): void;
  /** Resolves at a ring since the last muffle, at the latest after `ms`. */
  heard(ms: number): Promise<void>;
}

export function createBell(): Bell {
  let rung = false;
  let wake = () => {};
  return {
    ring: () => {
      rung = true;
      wake();
    },
    muffle: () => {
      rung = false;
    },
    heard: (ms) => {
      if (rung) return Promise.resolve();
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    },
  };
}
