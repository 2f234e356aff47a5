import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Finding, type Host, type Requirement, readHostFile } from './requirement.ts';

/** Swap lets one build slow its neighbours, and keeps pages of a build on disk after its end. */
function probeSwap(host: Host): Finding {
  const areas = (readHostFile(host, '/proc/swaps') ?? '').split('\n').slice(1);
  if (areas.length === 0) return { status: 'ok', detail: 'off' };
  // Not a command for --fix: swapping in what does not fit ends in the OOM killer.
  const text = 'run swapoff -a and take swap out of /etc/fstab';
  const names = areas.map((area) => area.split(/\s/)[0]).join(', ');
  return { status: 'missing', detail: `on: ${names}`, remedy: { kind: 'advice', text } };
}

/** Merged pages tell a build, by timing, what its neighbours have in memory. */
function probeKsm(host: Host): Finding {
  const state = readHostFile(host, '/sys/kernel/mm/ksm/run');
  if (state !== '1') return { status: 'ok', detail: 'off' };
  const line = 'echo 2 > /sys/kernel/mm/ksm/run';
  return {
    status: 'missing',
    detail: 'on',
    remedy: { kind: 'command', title: 'stop KSM', args: ['sh', '-c', line], needsRoot: true },
  };
}

function probeSmt(host: Host): Finding {
  if (readHostFile(host, '/sys/devices/system/cpu/smt/active') !== '1')
    return { status: 'ok', detail: 'off' };
  const text = 'boot with nosmt, or run builds of one trust level on this machine';
  return { status: 'warn', detail: 'on: builds share cores', remedy: { kind: 'advice', text } };
}

function probeCpuFlaws(host: Host): Finding {
  const directory = '/sys/devices/system/cpu/vulnerabilities';
  let names: string[];
  try {
    names = readdirSync(join(host.root, directory));
  } catch {
    return { status: 'warn', detail: 'this kernel does not report them' };
  }
  const open = names.filter((name) => readHostFile(host, `${directory}/${name}`)?.startsWith('Vulnerable'));
  if (open.length === 0) return { status: 'ok', detail: 'none without mitigation' };
  const text = 'update kernel and microcode, and boot without mitigations=off';
  return { status: 'warn', detail: open.join(', '), remedy: { kind: 'advice', text } };
}

/** A helper behind a pipe runs as root, outside the sandbox, on a core dump that the build has made. */
function probeCorePattern(host: Host): Finding {
  const pattern = readHostFile(host, '/proc/sys/kernel/core_pattern') ?? '';
  if (!pattern.startsWith('|')) return { status: 'ok', detail: 'no helper' };
  const text = 'set kernel.core_pattern to a plain file name (core)';
  return { status: 'warn', detail: `crashes start ${pattern.slice(1)}`, remedy: { kind: 'advice', text } };
}

/** What builds on one kernel could learn of, or do to, each other through the machine itself. */
export const exposureRequirements: readonly Requirement[] = [
  { id: 'swap', purpose: 'no build pages on disk', neededFor: 'untrusted', probe: probeSwap },
  { id: 'ksm', purpose: 'no pages shared between builds', neededFor: 'untrusted', probe: probeKsm },
  { id: 'smt', purpose: 'no core shared between builds', neededFor: 'untrusted', probe: probeSmt },
  { id: 'cpu-flaws', purpose: 'processor leaks mitigated', neededFor: 'untrusted', probe: probeCpuFlaws },
  { id: 'core-pattern', purpose: 'no helper on crashes', neededFor: 'untrusted', probe: probeCorePattern },
];
