import { availableParallelism, totalmem } from 'node:os';

/** What a workflow takes of a machine while it runs. */
export interface Share {
  readonly cpus: number;
  readonly memoryBytes: number;
}

/**
 * Shares out a machine's processors and memory among workflows, first come, first served: a large one is not
 * overtaken for ever by small ones. One that wants more than there is gets all of it, alone.
 */
export interface Budget {
  /**
   * Waits for the share; rejects with the signal's reason when it aborts first. Returns what gives it back.
   * @param waits called if it is not there yet
   */
  take(share: Share, signal: AbortSignal, waits?: () => void): Promise<() => void>;
  readonly free: Share;
}

/** What of a machine may be used; undefined: what is usual. */
interface MachineShare {
  readonly cpus: number | undefined;
  readonly memoryBytes: number | undefined;
}

/** Of this machine: four times its processors, as few builds use all they ask for, and four fifths of its memory. */
export function machineBudget({ cpus, memoryBytes }: MachineShare): Budget {
  return createBudget({
    cpus: cpus ?? availableParallelism() * 4,
    memoryBytes: memoryBytes ?? totalmem() * 0.8,
  });
}

export function createBudget(total: Share): Budget {
  const free = { ...total };
  const waiting: { readonly share: Share; readonly grant: () => void }[] = [];

  const fits = (share: Share) => share.cpus <= free.cpus + 1e-9 && share.memoryBytes <= free.memoryBytes;
  const grantNext = () => {
    for (let next = waiting[0]; next && fits(next.share); next = waiting[0]) {
      waiting.shift();
      next.grant();
    }
  };

  return {
    get free() {
      return { ...free };
    },
    take: (wanted, signal, waits) => {
      const share = {
        cpus: Math.min(wanted.cpus, total.cpus),
        memoryBytes: Math.min(wanted.memoryBytes, total.memoryBytes),
      };
      const { promise, resolve, reject } = Promise.withResolvers<() => void>();
      if (signal.aborted) return Promise.reject(signal.reason);
      let held = false;
      const giveBack = () => {
        if (!held) return;
        held = false;
        free.cpus += share.cpus;
        free.memoryBytes += share.memoryBytes;
        grantNext();
      };
      const entry = {
        share,
        grant: () => {
          held = true;
          free.cpus -= share.cpus;
          free.memoryBytes -= share.memoryBytes;
          signal.removeEventListener('abort', giveUp);
          resolve(giveBack);
        },
      };
      const giveUp = () => {
        waiting.splice(waiting.indexOf(entry), 1);
        reject(signal.reason);
        grantNext();
      };
      signal.addEventListener('abort', giveUp, { once: true });
      waiting.push(entry);
      grantNext();
      if (!held) waits?.();
      return promise;
    },
  };
}
