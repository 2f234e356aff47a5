import type { Timings } from '../src/build.ts';

type Phase = keyof Timings;

/** Measures how long each phase of a build takes; a phase may be entered more than once. */
export interface Phases {
  during<T>(phase: Phase, work: () => T | Promise<T>): Promise<T>;
  readonly timings: Timings;
}

export function createPhases(): Phases {
  const spent: Record<Phase, number> = {
    queuedMs: 0,
    prepareMs: 0,
    sandboxMs: 0,
    runMs: 0,
    collectMs: 0,
    destroyMs: 0,
  };
  return {
    during: async (phase, work) => {
      const start = performance.now();
      try {
        return await work();
      } finally {
        spent[phase] += performance.now() - start;
      }
    },
    get timings() {
      const round = (phase: Phase) => Math.round(spent[phase] * 10) / 10;
      return {
        queuedMs: round('queuedMs'),
        prepareMs: round('prepareMs'),
        sandboxMs: round('sandboxMs'),
        runMs: round('runMs'),
        collectMs: round('collectMs'),
        destroyMs: round('destroyMs'),
      };
    },
  };
}
