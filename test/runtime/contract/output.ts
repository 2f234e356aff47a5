import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { SandboxError } from '../../../runtime/sandbox.ts';
import { sequence } from '../fake/shell.ts';
import { type Bench, bytes, code, shell, start, tell } from './bench.ts';

const MiB = 1024 ** 2;

/** Output reaches its sink complete, in order, and not faster than it is taken. */
export function outputRules({ open }: Bench): void {
  describe('output', () => {
    test('comes from both streams in the order it was written', async () => {
      await using sandbox = open();
      const told = await tell(start(sandbox), 'echo one; echo two >&2; echo three; echo four >&2');
      expect(told).toEqual({ exit: code(0), output: 'one\ntwo\nthree\nfour\n' });
    });

    test('is bytes, whatever they are', async () => {
      await using sandbox = open();
      const chunks: Buffer[] = [];
      await start(sandbox).run(shell('cat bytes'), (chunk) => void chunks.push(Buffer.from(chunk)));
      expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
    });

    test('of 64 MiB is complete when run() resolves, through a sink that is slow', async () => {
      await using sandbox = open();
      const last = 8_600_000;
      const wanted = createHash('sha256');
      for (const part of sequence(1, last)) wanted.update(part);
      const got = createHash('sha256');
      let size = 0;
      let pauses = 0;
      const exit = await start(sandbox).run(shell(`seq 1 ${last}; exit 3`), async (chunk) => {
        got.update(chunk);
        size += chunk.length;
        if (size > pauses * MiB) await sleep(++pauses % 8 === 0 ? 20 : 1);
      });
      expect(exit).toEqual(code(3));
      expect(size).toBeGreaterThan(64 * MiB);
      expect(got.digest('hex')).toBe(wanted.digest('hex'));
    });

    test('waits for the promise of its sink', async () => {
      await using sandbox = open();
      let busy = 0;
      let most = 0;
      let taken = 0;
      await start(sandbox).run(shell('seq 1 200000'), async () => {
        most = Math.max(most, ++busy);
        await sleep(2);
        busy--;
        taken++;
      });
      expect({ most, busy }).toEqual({ most: 1, busy: 0 });
      expect(taken).toBeGreaterThan(1);
    });

    test.each([
      [
        'throws',
        () => {
          throw new Error('the disk of the log is full');
        },
      ],
      ['rejects', () => Promise.reject(new Error('the disk of the log is full'))],
    ])('whose sink %s is an error of the platform that keeps its cause', async (_, sink) => {
      await using sandbox = open();
      const box = start(sandbox);
      const error = await box.run(shell('echo hello; sleep 20'), sink).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(SandboxError);
      expect(error).toHaveProperty('cause.message', 'the disk of the log is full');
      await expect(tell(box, 'echo more')).rejects.toBe(error);
    });
  });
}
