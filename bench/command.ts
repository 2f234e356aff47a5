import { fileURLToPath } from 'node:url';
import { run } from '../runtime/command.ts';
import type { BuildRecord } from '../src/build.ts';
import type { Row } from './row.ts';
import type { Site } from './site.ts';
import { takeTurns } from './turns.ts';

const program = fileURLToPath(new URL('../bin/cofferdam', import.meta.url));
const hello = fileURLToPath(new URL('../examples/hello', import.meta.url));

/** `cofferdam run` as a whole process, less the time that the user's commands took; and Node alone, for scale. */
export async function command(site: Site): Promise<Row[]> {
  const [ours = [], node = []] = await takeTurns(site.stop, site.runs, [
    () => overheadMs(site.dataDir),
    () => elapsedMs(() => run({ file: process.execPath, args: ['-e', '0'] })),
  ]);
  return [
    {
      what: 'cofferdam run examples/hello, less its steps',
      unit: 'ms',
      better: 'less',
      samples: ours,
      target: 250,
      peers: [{ name: 'node -e 0', samples: node }],
    },
  ];
}

async function overheadMs(dataDir: string): Promise<number> {
  let lines: string[] = [];
  const wall = await elapsedMs(async () => {
    const env = { ...process.env, COFFERDAM_DATA: dataDir };
    const { stdout } = await run({ file: program, args: ['run', hello, '--json'], env });
    lines = stdout.toString().trim().split('\n');
  });
  const { record }: { readonly record: BuildRecord } = JSON.parse(lines.at(-1) ?? '');
  const steps = record.workflows.flatMap((workflow) => workflow.steps);
  const spent = steps.map(
    ({ startedAt = '', finishedAt = '' }) => Date.parse(finishedAt) - Date.parse(startedAt),
  );
  return wall - spent.reduce((sum, ms) => sum + ms, 0);
}

async function elapsedMs(task: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await task();
  return performance.now() - begun;
}
