import type { Tolerance } from './invariants.ts';
import { createRandom } from '../random.ts';
import { type Fault, type Preparation, submitLoad } from './scene.ts';

/** Several faults in one round, side by side, each with decisions of its own. One alone is as it was. */
export function together(faults: readonly [Fault, ...Fault[]]): Fault {
  const [only, ...more] = faults;
  if (more.length === 0) return only;
  return {
    id: faults.map(({ id }) => id).join('+'),
    title: faults.map(({ title }) => title).join('; and '),
    aftermath: faults.find(({ aftermath }) => aftermath !== undefined)?.aftermath ?? 'mended',
    drainMs: Math.max(...faults.map(({ drainMs = 120_000 }) => drainMs)),
    missing: () => faults.map(({ missing }) => missing?.()).find((why) => why !== undefined),
    prepare: async (scratch) => {
      let all: Preparation = {};
      for (const { prepare } of faults) all = { ...all, ...(await prepare?.(scratch)) };
      return all;
    },
    strike: async (scene) => {
      const seed = scene.random.between(0, 2 ** 30);
      const tolerances = await Promise.all(
        faults.map(({ strike }, i) => {
          const random = createRandom(seed + i);
          return strike({ ...scene, random, load: (count) => submitLoad({ ...scene, random }, count) });
        }),
      );
      return tolerances.reduce(union);
    },
  };
}

function union(a: Tolerance, b: Tolerance): Tolerance {
  const untouched = a.untouched?.filter((worker) => b.untouched?.includes(worker));
  return {
    errored: (record) => (a.errored?.(record) ?? false) || (b.errored?.(record) ?? false),
    canceled: (record) => (a.canceled?.(record) ?? false) || (b.canceled?.(record) ?? false),
    forgotten: (entry) => (a.forgotten?.(entry) ?? false) || (b.forgotten?.(entry) ?? false),
    again: (a.again ?? false) || (b.again ?? false),
    ...(untouched && { untouched }),
  };
}
