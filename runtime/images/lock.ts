import { once } from 'node:events';
import { start } from '../command.ts';
import { ImageError } from './image.ts';

/** A file lock (flock) that is held until released, or until this process ends in any way. */
export interface Lock {
  release(): Promise<void>;
}

export type LockMode = 'shared' | 'exclusive';

/** Exit code by which flock(1) says that another holds the lock. */
const conflict = 75;

/** Takes the lock without waiting; undefined when another holds it in a conflicting mode. */
export async function tryLock(file: string, mode: LockMode): Promise<Lock | undefined> {
  return await acquire(file, mode, ['--nonblock', '--conflict-exit-code', String(conflict)]);
}

/** Does `work` with the lock held; calls `onWait` when it has to wait for it first. */
export async function withLock<T>(
  file: string,
  mode: LockMode,
  onWait: () => void,
  work: () => Promise<T>,
): Promise<T> {
  let lock = await tryLock(file, mode);
  if (!lock) {
    onWait();
    lock = await acquire(file, mode, []);
  }
  try {
    return await work();
  } finally {
    await lock?.release();
  }
}

/**
 * Node has no flock(2), so a helper process holds the lock: it says when it has it and then reads from us until we
 * close the pipe, or die and the kernel closes it.
 */
async function acquire(file: string, mode: LockMode, options: readonly string[]): Promise<Lock | undefined> {
  const args = [...options, `--${mode}`, file, 'sh', '-c', 'echo && exec cat'];
  // In a session of its own: Ctrl-C must not free the lock before we have cleaned up.
  const helper = start({ file: 'flock', args }, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const { stdin, stdout, stderr } = helper;
  if (!stdin || !stdout || !stderr) throw new Error('flock was started without pipes');
  stdin.on('error', () => {});
  let complaint = '';
  stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const closed = once(helper, 'close').catch((cause: unknown) => {
    throw new ImageError('flock cannot be started: install util-linux', { cause });
  });
  const locked = new Promise<'locked'>((resolve) => stdout.once('data', () => resolve('locked')));
  const first = await Promise.race([locked, closed]);
  if (first === 'locked') {
    const release = async () => {
      stdin.end();
      await closed;
    };
    return { release };
  }
  if (first[0] === conflict) return undefined;
  throw new ImageError(`cannot lock ${file}: ${complaint.trim() || `flock ended with ${first[0]}`}`);
}
