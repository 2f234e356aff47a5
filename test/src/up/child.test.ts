import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { start } from '../../../runtime/command.ts';
import { ChildError, keepRunning } from '../../../src/up/child.ts';
import { openJournal } from '../../../src/up/journal.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cofferdam-child-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const pace = { settledMs: 200, firstDelayMs: 10, longestDelayMs: 40, tries: 3 };

/** Keeps a shell script running; `said` has what its log says, `starts` when it was started. */
function keep(script: string) {
  const starts: number[] = [];
  const said: string[] = [];
  const child = keepRunning({
    name: 'test',
    launch: () => {
      starts.push(performance.now());
      return start({ file: 'sh', args: ['-c', script, 'sh', dir] }, { stdio: ['pipe', 'pipe', 'pipe'] });
    },
    journal: openJournal(join(dir, 'log'), () => {}),
    onEntry: ({ msg }) => said.push(msg),
    pace,
  });
  return { child, starts, said };
}

test('a process that ends is started again, until it is stopped', async () => {
  const { child, starts, said } = keep('echo begun; sleep 0.3');
  while (starts.length < 5) await new Promise((resolve) => setTimeout(resolve, 20));
  child.stop('SIGTERM');
  await child.ended;
  const count = starts.length;
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(starts).toHaveLength(count);
  expect(said.filter((msg) => msg === 'begun').length).toBeGreaterThanOrEqual(4);
});

test('it is given up when it has never stayed, with its last words', async () => {
  const { child, starts } = keep('echo "no such directory" >&2; exit 3');
  await expect(child.ended).rejects.toThrow(
    new ChildError('test does not come up (ended with exit code 3): no such directory'),
  );
  expect(starts).toHaveLength(3);
});

test('it is not given up once it has stayed', async () => {
  const { child, starts } = keep('[ -e "$1/stayed" ] && exit 1; touch "$1/stayed"; sleep 0.3');
  while (starts.length < 7) await new Promise((resolve) => setTimeout(resolve, 10));
  child.stop('SIGTERM');
  await child.ended;
  // Ever more slowly, up to a limit.
  const delays = starts.map((at, i) => at - (starts[i - 1] ?? at)).slice(2);
  expect(delays.at(-1)).toBeGreaterThan(35);
});

test('stopped while it waits to be started again, it is over', async () => {
  const { child, starts } = keep('exit 1');
  await new Promise((resolve) => setTimeout(resolve, 5));
  while (starts.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  child.stop('SIGTERM');
  await child.ended;
});

test('its stdin ends when its keeper is gone, and not before', async () => {
  const { child, said } = keep('trap "" TERM; cat; echo "stdin ended"; exit 0');
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(said).toEqual([]);
  child.stop('SIGKILL');
  await child.ended;
});
