import type { Exit } from '../sandbox.ts';
import type { Refusals } from './cgroup.ts';
import type { CommandEnd } from './holder.ts';

/**
 * Below this much free, a disk is full: what was asked for did not fit into the rest. Since Linux 6.16 ext4 takes a large write
 * in pieces (folios) of up to 8 MiB, and refuses a piece as a whole.
 */
const fullBytes = { least: 256 * 1024, most: 8 * 1024 ** 2, share: 1 / 16 };
const fullInodes = 2;

/**
 * Why a command ended. The counters of memory and pids stand whatever the exit code says: a shell goes on after the
 * kernel killed its child, and exits 0. The kernel counts no ENOSPC, so a full disk is a reason only for a failure.
 */
export function exitOf(end: CommandEnd, before: Refusals, after: Refusals): Exit {
  const code = exitCodeOf(end.status);
  if (after.oomKills > before.oomKills) return { reason: 'oom', code };
  if (after.pidsRefused > before.pidsRefused) return { reason: 'pids', code };
  return { reason: code !== 0 && isFull(end) ? 'disk' : 'exit', code };
}

function isFull({ diskPeakBytes, diskFreeBytes, diskFreeInodes }: CommandEnd): boolean {
  const { least, most, share } = fullBytes;
  const size = diskPeakBytes + diskFreeBytes;
  return diskFreeBytes < Math.max(least, Math.min(most, size * share)) || diskFreeInodes < fullInodes;
}

/** wait(2): the low seven bits are the signal, the second byte the code. */
function exitCodeOf(status: number): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
}
