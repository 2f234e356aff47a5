import { describe, expect, test } from 'vitest';
import { createBuildLog, type LogReader } from '../../workers/log.ts';
import { randomFrom } from '../random.ts';

/** What a reader was told; `bytes` and the step of each byte. */
interface Heard {
  readonly steps: string;
  readonly bytes: string;
}

/** Collects in parts: the head, what follows the announcement of a cut, what follows the cut itself. */
function listener() {
  const parts: { steps: string; bytes: string }[] = [{ steps: '', bytes: '' }];
  const told: (string | number)[] = [];
  const reader: LogReader = {
    chunk: (step, chunk) => {
      const part = parts.at(-1);
      if (!part) return;
      part.steps += step.repeat(chunk.length);
      part.bytes += chunk.toString('latin1');
    },
    cutBegins: () => void told.push('begins'),
    cutEnds: (cutBytes) => {
      told.push(cutBytes);
      parts.push({ steps: '', bytes: '' });
    },
  };
  return { reader, parts: parts as readonly Heard[], told };
}

describe('the log of a build', () => {
  test('is its head, its tail, and the number of bytes between them (200 random builds)', async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = randomFrom(seed);
      const cap = 4 + random(3000);
      const tailBytes = Math.floor(cap / 4);
      const { reader, parts, told } = listener();
      const log = createBuildLog(cap, reader);
      let all = '';
      let steps = '';
      for (let writes = random(60); writes > 0; writes--) {
        const step = 'abc'.charAt(random(3));
        const length = random(random(8) === 0 ? 4000 : 100);
        const chunk = Buffer.from(Array.from({ length }, () => random(256)));
        await log.write(step, chunk);
        all += chunk.toString('latin1');
        steps += step.repeat(length);
      }
      await log.finish();

      const cutBytes = Math.max(0, all.length - cap);
      const pieces = (text: string): string[] =>
        cutBytes === 0 ? [text] : [text.slice(0, cap - tailBytes), text.slice(text.length - tailBytes)];
      expect(
        parts.map(({ bytes }) => bytes),
        `seed ${seed}`,
      ).toEqual(pieces(all));
      expect(
        parts.map((part) => part.steps),
        `seed ${seed}`,
      ).toEqual(pieces(steps));
      expect(log.totals).toEqual({ bytes: all.length, truncated: cutBytes > 0, cutBytes });
      expect(told, `seed ${seed}`).toEqual([
        ...(all.length > cap - tailBytes ? ['begins'] : []),
        ...(cutBytes > 0 ? [cutBytes] : []),
      ]);
    }
  });

  test('takes 2 GiB in flat memory', async () => {
    const { reader, told } = listener();
    const log = createBuildLog(1024 ** 2, reader);
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const before = process.memoryUsage().rss;
    for (let written = 0; written < 2 * 1024 ** 3; written += chunk.length) await log.write('a', chunk);
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * 1024 ** 2);
    await log.finish();
    expect(told).toEqual(['begins', 2 * 1024 ** 3 - 1024 ** 2]);
  });

  test('owns what it keeps: the writer may use its buffer again', async () => {
    const { reader, parts } = listener();
    const log = createBuildLog(8, reader);
    const chunk = Buffer.alloc(1);
    for (const letter of 'abcdefghijkl') {
      chunk.write(letter);
      await log.write('a', chunk);
    }
    await log.finish();
    expect(parts.map(({ bytes }) => bytes)).toEqual(['abcdef', 'kl']);
  });

  test.each(['chunk', 'cutBegins'] as const)('holds its writer up until its reader took %s', async (slow) => {
    const taken = Promise.withResolvers<void>();
    const quick: LogReader = { chunk: () => {}, cutBegins: () => {}, cutEnds: () => {} };
    const log = createBuildLog(8, { ...quick, [slow]: () => taken.promise });
    let done = false;
    const writing = Promise.resolve(log.write('a', Buffer.alloc(10))).then(() => (done = true));
    await new Promise(setImmediate);
    expect(done).toBe(false);
    taken.resolve();
    await writing;
  });

  test('does not hold its writer up once the tail is all that is kept', async () => {
    const log = createBuildLog(8, { chunk: () => {}, cutBegins: () => {}, cutEnds: () => {} });
    await log.write('a', Buffer.alloc(10));
    expect(log.write('a', Buffer.alloc(10))).toBeUndefined();
  });
});
