import { expect, it } from 'vitest';
import { catalog } from './catalog.ts';
import { runRound } from './round.ts';
import { withWorkersDir } from './site.ts';

/** The quick ones; `npm run faults` has all of them. Another seed each day, which a failure names. */
const quick = ['F3', 'F10', 'F30'];
const seed = Math.floor(Date.now() / 86_400_000);

it('keeps its promises while Redis dies, builds are handed out twice, and canceled in every phase', async () => {
  await withWorkersDir(
    () => {},
    async (dataDir) => {
      for (const fault of catalog.filter(({ id }) => quick.includes(id))) {
        const report = await runRound(fault, seed, dataDir);
        expect(report.violations, `${fault.id}, seed ${seed}, logs in ${report.scratch}`).toEqual([]);
      }
    },
  );
}, 300_000);
