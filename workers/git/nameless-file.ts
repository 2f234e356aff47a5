import { randomUUID } from 'node:crypto';
import { closeSync, constants, existsSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A secret for a program that takes it from a file only. */
export interface NamelessFile {
  /** Readable by this user's processes and root, as long as it is open. */
  readonly path: string;
  close(): void;
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;

/**
 * Keeps a text in a file, in memory where there is /dev/shm, that loses its name before it gets its content: other
 * programs reach it through this process's descriptors, and when this process is killed nothing of it is left.
 */
export function namelessFile(text: string): NamelessFile {
  const name = join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `cofferdam-${randomUUID()}`);
  const fd = openSync(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  unlinkSync(name);
  writeSync(fd, text);
  return { path: `/proc/${process.pid}/fd/${fd}`, close: () => closeSync(fd) };
}
