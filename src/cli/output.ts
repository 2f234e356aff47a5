import { write } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Writes to stdout and stderr in one order, without blocking this process: a reader that is slow holds up who
 * waits for the promise, not timers and signals. A stream that cannot be written to gets no more; the build goes on,
 * its verdict and artifacts still matter.
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
  const send = async (fd: number, data: Buffer): Promise<void> => {
    if (closed.has(fd)) return;
    const error = await writeAll(fd, data);
    if (!error) return;
    closed.add(fd);
    // A reader that went away has seen what it wanted; anybody else must know that something is missing.
    if (fd === fds.out && error.code !== 'EPIPE') {
      const message = `cofferdam: cannot write to stdout, the rest of the log is lost: ${error.message}\n`;
      await send(fds.err, Buffer.from(message));
    }
  };
  const enqueue = (fd: number, data: Buffer) => {
    last = last.then(() => send(fd, data));
    return last;
  };
  return {
    out: (data) => enqueue(fds.out, typeof data === 'string' ? Buffer.from(data) : data),
    err: (text) => enqueue(fds.err, Buffer.from(text)),
  };
}

/** Returns what made writing impossible. */
async function writeAll(fd: number, data: Buffer): Promise<NodeJS.ErrnoException | undefined> {
  for (let at = 0; at < data.length; ) {
    const { error, written } = await writeSome(fd, data.subarray(at));
    at += written;
    if (error?.code === 'EAGAIN') await sleep(5);
    else if (error) return error;
  }
  return undefined;
}

function writeSome(
  fd: number,
  data: Buffer,
): Promise<{ error: NodeJS.ErrnoException | null; written: number }> {
  return new Promise((resolve) => {
    write(fd, data, (error, written) => resolve({ error, written: error ? 0 : written }));
  });
}
