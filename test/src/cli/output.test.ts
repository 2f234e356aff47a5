import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { createOutput } from '../../../src/cli/output.ts';
import { type Directory, temporaryDirectory } from '../../workers/directory.ts';

let directory: Directory;
beforeEach(() => void (directory = temporaryDirectory()));
afterEach(() => directory[Symbol.dispose]());

interface Pipe {
  readonly reader: number;
  readonly writer: number;
}

/** A FIFO stands for a pipe: node:fs cannot make one without a process. */
async function pipe(mode: 'blocking' | 'non-blocking'): Promise<Pipe> {
  const path = join(directory.path, 'fifo');
  await run({ file: 'mkfifo', args: [path] });
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY | (mode === 'blocking' ? 0 : constants.O_NONBLOCK));
  return { reader, writer };
}

test('both streams keep one order', () => {
  const path = join(directory.path, 'both');
  const fds = { out: openSync(path, 'a'), err: openSync(path, 'a') };
  const output = createOutput(fds);
  let expected = '';
  const all = Array.from({ length: 200 }, (_, i) => {
    expected += `${i}\n`;
    return i % 3 === 0 ? output.err(`${i}\n`) : output.out(Buffer.from(`${i}\n`));
  });
  return Promise.all(all).then(() => {
    expect(readFileSync(path, 'utf8')).toBe(expected);
    for (const fd of Object.values(fds)) closeSync(fd);
  });
});

describe.each(['blocking', 'non-blocking'] as const)('a %s pipe', (mode) => {
  test('whose reader is slow holds up who waits, not this process, and gets it all', async () => {
    const { reader, writer } = await pipe(mode);
    const output = createOutput({ out: writer, err: writer });
    const data = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i >> 3));
    let done = false;
    const writing = output.out(data).then(() => (done = true));
    await sleep(30);
    expect(done).toBe(false);
    const got: Buffer[] = [];
    for (let size = 0; size < data.length; ) {
      const chunk = Buffer.alloc(20_000);
      const length = readAvailable(reader, chunk);
      got.push(chunk.subarray(0, length));
      size += length;
      await sleep(1);
    }
    await writing;
    expect(Buffer.concat(got).equals(data)).toBe(true);
    closeSync(reader);
    closeSync(writer);
  });

  test('whose reader went away gets no more, in silence', async () => {
    const { reader, writer } = await pipe(mode);
    const log = join(directory.path, 'err');
    const err = openSync(log, 'w');
    const output = createOutput({ out: writer, err });
    closeSync(reader);
    await output.out('lost');
    await output.out('lost too');
    await output.err('heard');
    expect(readFileSync(log, 'utf8')).toBe('heard');
    closeSync(writer);
    closeSync(err);
  });
});

test('a log that cannot be written is said once, and the rest goes on', async () => {
  const log = join(directory.path, 'err');
  const fds = { out: openSync('/dev/full', 'w'), err: openSync(log, 'w') };
  const output = createOutput(fds);
  const all = [output.out('lost'), output.err('heard\n'), output.out('lost too')];
  await Promise.all(all);
  expect(readFileSync(log, 'utf8')).toBe(
    'cofferdam: cannot write to stdout, the rest of the log is lost: ENOSPC: no space left on device, write\nheard\n',
  );
  for (const fd of Object.values(fds)) closeSync(fd);
});

/** 0 when there is nothing at the moment. */
function readAvailable(fd: number, into: Buffer): number {
  try {
    return readSync(fd, into);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return 0;
    throw error;
  }
}
