import { write } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Writes to stdout and stderr in one order, without blocking this process: a reader that is slow holds up who
 * waits for the promise, not timers and signals.
 */
export interface Output {
  /** Data. */
  out(data: string | Buffer): Promise<void>;
  /** Progress. */
  err(text: string): Promise<void>;
}

export function createOutput(
  fds: { readonly out: number; readonly err: number } = { out: 1, err: 2 },
): Output {
  let last: Promise<void> = Promise.resolve();
  const closed = new Set<number>();
  const enqueue = (fd: number, data: Buffer) => {
    const mine = last.then(() => (closed.has(fd) ? undefined : writeAll(fd, data, closed)));
    last = mine;
    return mine;
  };
  return {
    out: (data) => enqueue(fds.out, typeof data === 'string' ? Buffer.from(data) : data),
    err: (text) => enqueue(fds.err, Buffer.from(text)),
  };
}

/** A reader that went away (EPIPE) gets no more; the build goes on, its verdict and artifacts still matter. */
async function writeAll(fd: number, data: Buffer, closed: Set<number>): Promise<void> {
  for (let at = 0; at < data.length; ) {
    const { error, written } = await writeSome(fd, data.subarray(at));
    at += written;
    if (error?.code === 'EAGAIN') await sleep(5);
    else if (error) {
      closed.add(fd);
      return;
    }
  }
}

function writeSome(
  fd: number,
  data: Buffer,
): Promise<{ error: NodeJS.ErrnoException | null; written: number }> {
  return new Promise((resolve) => {
    write(fd, data, (error, written) => resolve({ error, written: error ? 0 : written }));
  });
}
