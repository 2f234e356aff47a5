import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { watchFitness } from '../../workers/fitness.ts';

const minute = 60_000;

describe('the fitness of a worker', () => {
  const watch = () => watchFitness({ dataDir: tmpdir(), headroomBytes: 1 });
  const fail = (fitness: ReturnType<typeof watch>, times: number, now: number) => {
    for (let i = 0; i < times; i++) fitness.ended('infrastructure', now);
  };

  test('ends with the third failure of the platform in a row, for a minute', () => {
    const fitness = watch();
    fail(fitness, 2, 0);
    expect(fitness.check(0).kind).toBe('fit');
    fail(fitness, 1, 0);
    expect(fitness.check(minute - 1)).toMatchObject({
      kind: 'quarantined',
      message: expect.stringContaining('3 infrastructure failures in a row'),
    });
    expect(fitness.check(minute).kind).toBe('fit');
  });

  test('stays away twice as long after each further failure, at most half an hour', () => {
    const fitness = watch();
    fail(fitness, 4, 0);
    expect(fitness.check(2 * minute - 1).kind).toBe('quarantined');
    expect(fitness.check(2 * minute).kind).toBe('fit');
    fail(fitness, 20, 0);
    expect(fitness.check(30 * minute - 1).kind).toBe('quarantined');
    expect(fitness.check(30 * minute).kind).toBe('fit');
  });

  test('comes back with the first build that the platform did not fail', () => {
    const fitness = watch();
    fail(fitness, 5, 0);
    fitness.ended('other', 0);
    expect(fitness.check(0).kind).toBe('fit');
    fail(fitness, 2, 0);
    expect(fitness.check(0).kind).toBe('fit');
  });

  test('is gone while the disk has less than the headroom', () => {
    const fitness = watchFitness({ dataDir: tmpdir(), headroomBytes: Number.MAX_SAFE_INTEGER });
    expect(fitness.check()).toMatchObject({
      kind: 'low-disk',
      message: expect.stringContaining('bytes free'),
    });
  });
});
