import { describe, expect, test } from 'vitest';
import { createBudget } from '../../workers/budget.ts';
import { randomFrom } from '../random.ts';

const GiB = 1024 ** 3;
const never = new AbortController().signal;

/** Whether a promise is settled by now. */
async function isHeld(taking: Promise<unknown>): Promise<boolean> {
  let held = false;
  taking.then(
    () => (held = true),
    () => {},
  );
  await new Promise((resolve) => setImmediate(resolve));
  return held;
}

describe('the budget of a machine', () => {
  test('is shared out until it is used up; what is given back goes to who waits', async () => {
    const budget = createBudget({ cpus: 4, memoryBytes: 8 * GiB });
    const first = await budget.take({ cpus: 3, memoryBytes: GiB }, never);
    const second = budget.take({ cpus: 2, memoryBytes: GiB }, never);
    expect(await isHeld(second)).toBe(false);
    first();
    expect(await isHeld(second)).toBe(true);
    (await second)();
    expect(budget.free).toEqual({ cpus: 4, memoryBytes: 8 * GiB });
  });

  test('lets no small build overtake a large one that waits', async () => {
    const budget = createBudget({ cpus: 4, memoryBytes: 8 * GiB });
    const running = await budget.take({ cpus: 2, memoryBytes: GiB }, never);
    const large = budget.take({ cpus: 4, memoryBytes: GiB }, never);
    const small = budget.take({ cpus: 1, memoryBytes: GiB }, never);
    expect(await isHeld(small)).toBe(false);
    running();
    expect(await isHeld(large)).toBe(true);
    expect(await isHeld(small)).toBe(false);
    (await large)();
    expect(await isHeld(small)).toBe(true);
  });

  test('gives all of itself to a build that wants more than there is', async () => {
    const budget = createBudget({ cpus: 2, memoryBytes: GiB });
    const giveBack = await budget.take({ cpus: 64, memoryBytes: 64 * GiB }, never);
    expect(budget.free).toEqual({ cpus: 0, memoryBytes: 0 });
    giveBack();
  });

  test('given back twice counts once', async () => {
    const budget = createBudget({ cpus: 2, memoryBytes: GiB });
    const giveBack = await budget.take({ cpus: 1, memoryBytes: 0 }, never);
    giveBack();
    giveBack();
    expect(budget.free.cpus).toBe(2);
  });

  test('rejects who stops waiting, and serves the next', async () => {
    const budget = createBudget({ cpus: 2, memoryBytes: GiB });
    const running = await budget.take({ cpus: 1, memoryBytes: 0 }, never);
    const impatient = new AbortController();
    const large = budget.take({ cpus: 2, memoryBytes: 0 }, impatient.signal);
    const small = budget.take({ cpus: 1, memoryBytes: 0 }, never);
    impatient.abort(new Error('canceled'));
    await expect(large).rejects.toThrow('canceled');
    expect(await isHeld(small)).toBe(true);
    running();
  });

  test('is never overdrawn, and whole again at the end', async () => {
    const random = randomFrom(7);
    const total = { cpus: 8, memoryBytes: 8 * GiB };
    const budget = createBudget(total);
    await Promise.all(
      Array.from({ length: 300 }, async () => {
        const stop = new AbortController();
        if (random(5) === 0) setTimeout(() => stop.abort(new Error('stop')), random(5));
        const share = { cpus: random(6), memoryBytes: random(4) * GiB };
        const giveBack = await budget.take(share, stop.signal).catch(() => () => {});
        expect(budget.free.cpus).toBeGreaterThanOrEqual(0);
        expect(budget.free.memoryBytes).toBeGreaterThanOrEqual(0);
        await new Promise((resolve) => setTimeout(resolve, random(3)));
        giveBack();
      }),
    );
    expect(budget.free).toEqual(total);
  });
});
