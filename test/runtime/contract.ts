import { describe, expect, test } from 'vitest';
import type { SandboxDriver } from '../../runtime/sandbox.ts';
import { makeBench, start, tell } from './contract/bench.ts';
import { commandRules } from './contract/commands.ts';
import { endingRules } from './contract/ending.ts';
import { fileRules } from './contract/files.ts';
import { outputRules } from './contract/output.ts';
import { secretRules } from './contract/secrets.ts';

/** What differs between implementations. */
interface Capabilities {
  /** Whether usage() tells what a kernel counted; else only the disk is known. */
  readonly counters: 'kernel' | 'none';
}

/** The rules of runtime/sandbox.ts, as far as they can be seen through it. */
export function sandboxContract(
  name: string,
  makeDriver: (dataDir: string) => SandboxDriver,
  capabilities: Capabilities,
): void {
  describe(`the sandbox contract: ${name}`, () => {
    const bench = makeBench(makeDriver);
    const { open } = bench;

    outputRules(bench);
    commandRules(bench);
    endingRules(bench);
    fileRules(bench);
    secretRules(bench);

    test('usage() counts what is written, as it is now, also after kill()', async () => {
      await using sandbox = open();
      const box = start(sandbox);
      const before = await sandbox.usage();
      await tell(box, 'seq 1 1000; echo hello > note');
      box.kill();
      const after = await sandbox.usage();
      expect(after.diskPeakBytes).toBeGreaterThan(before.diskPeakBytes);
      if (capabilities.counters === 'none') return;
      expect(after.cpuSeconds).toBeGreaterThan(before.cpuSeconds);
      expect(after.memoryPeakBytes).toBeGreaterThan(0);
    });
  });
}
