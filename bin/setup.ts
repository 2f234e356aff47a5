// The machine's part of bin/bootstrap. Progress goes to stderr; stdout gets the files whose loss undoes the set-up.
import { loadConfig } from '../src/config.ts';
import { type Check, thisHost } from '../runtime/host.ts';
import { pasteable, repair, RepairError, repairSteps, type Step } from '../runtime/host/repair.ts';
import type { Host, Requirement } from '../runtime/host/requirement.ts';
import { findTool } from '../runtime/host/tools.ts';

function say(text: string): void {
  process.stderr.write(`cofferdam set-up: ${text}\n`);
}

async function timed(step: Step, work: () => Promise<void>): Promise<void> {
  process.stderr.write(`cofferdam set-up: ${step.title} ... `);
  const began = performance.now();
  try {
    await work();
  } catch (error) {
    process.stderr.write('failed\n');
    throw error;
  }
  process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1)} s\n`);
}

/** What this run could not do, as things to do for the person who reads it. */
function instructions(host: Host, left: readonly Check[]): string[] {
  const lines: string[] = [];
  for (const step of repairSteps(left)) {
    if (step.kind === 'install' && !findTool(host, 'apt-get')) {
      const lacking = left.flatMap((check) =>
        check.status === 'missing' && check.remedy.kind === 'packages'
          ? [`  ${check.id} (${check.purpose}); in Debian it is in ${check.remedy.names.join(', ')}`]
          : [],
      );
      lines.push('this is not a Debian system (no apt-get); install these yourself:', ...lacking);
    } else lines.push(`${host.uid === 0 ? 'run' : 'this needs root; run'}:`, `  ${pasteable(host, step)}`);
  }
  return lines;
}

const purposes: Readonly<Record<string, readonly Requirement['neededFor'][]>> = {
  '--service': ['builds', 'service'],
  '--test': ['builds', 'service', 'tests'],
};

async function main(level: string | undefined): Promise<number> {
  const host = thisHost(loadConfig().dataDir);
  const checks = await repair(host, purposes[level ?? ''] ?? ['builds'], timed);
  const left = instructions(host, checks);
  for (const line of left) say(line);
  for (const check of checks) {
    if (check.status !== 'missing' || check.remedy.kind !== 'advice' || check.id === 'root') continue;
    say(`builds will not run here: ${check.id}: ${check.detail}; ${check.remedy.text}`);
  }
  if (left.length > 0) return 1;
  for (const check of checks)
    if (check.status === 'ok' && check.file) process.stdout.write(`${check.file}\n`);
  return 0;
}

try {
  process.exitCode = await main(process.argv[2]);
} catch (error) {
  if (!(error instanceof RepairError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
