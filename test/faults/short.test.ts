import { expect, it } from 'vitest';
import { pickFaults } from './catalog.ts';
import { runRound } from './round.ts';
import { withWorkersDir } from './site.ts';

/** Another one each day; a failure names it. */
const seed = Math.floor(Date.now() / 86_400_000);

/** What is quick; `npm run faults` has the rest. */
it('keeps its promises while Redis dies, builds are handed out twice, and canceled in every phase', async () => {
  await withWorkersDir(
    () => {},
    async (dataDir) => {
      const report = await runRound(pickFaults('F3+F10+F30'), seed, dataDir);
      expect(report.violations, `seed ${seed}, logs in ${report.scratch}`).toEqual([]);
    },
  );
}, 300_000);
