import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { census, expectSameCensus } from '../../census.ts';
import { lab, shell, start, tell } from './lab.ts';

test('a holder that does not read what is sent, for crun hangs, ends all the same', async () => {
  await using tools = lab();
  const crun = join(tools.scratch, 'crun');
  writeFileSync(crun, '#!/bin/sh\nexec sleep 1000\n');
  chmodSync(crun, 0o755);
  await using place = lab({ crun });
  const before = census(place.dataDir);
  const sandbox = place.open();
  const running = tell(start(sandbox), shell('true', { env: { LONG: 'x'.repeat(8 * 1024 ** 2) } }));
  const failed = expect(running).rejects.toThrow(/was destroyed/);
  await sleep(100);
  await sandbox.destroy();
  await failed;
  await expectSameCensus(place.dataDir, before);
});

test('a reader of the log that takes for ever does not keep a sandbox from being destroyed', async () => {
  await using place = lab();
  const before = census(place.dataDir);
  const sandbox = place.open();
  const reads = Promise.withResolvers<void>();
  const running = start(sandbox).run(shell('yes'), () => {
    reads.resolve();
    return new Promise(() => {});
  });
  const failed = expect(running).rejects.toThrow(/was destroyed/);
  await reads.promise;
  await sandbox.destroy();
  await failed;
  await expectSameCensus(place.dataDir, before);
});
