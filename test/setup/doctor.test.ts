import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkout, execute, makeClone, toolsWithout } from './clone.ts';

interface Printed {
  readonly checks: readonly { id: string; neededFor: string; status: string; remedy?: { kind: string } }[];
  readonly builds: { readonly fit: boolean; readonly because: readonly string[] };
  readonly untrusted: { readonly fit: boolean; readonly because: readonly string[] };
}

const command = join(checkout, 'bin/cofferdam');

function doctor(flags: readonly string[], path = '/usr/bin:/bin', before: readonly string[] = []) {
  const [file = command, ...args] = [...before, command, 'doctor', ...flags];
  return execute([file, ...args], { env: { PATH: path } });
}

const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] as const;

describe('cofferdam doctor', () => {
  test('--json: every check, and verdicts that follow from them', () => {
    const { stdout, status } = doctor(['--json']);
    const printed: Printed = JSON.parse(stdout);
    const missing = printed.checks.filter((check) => check.status === 'missing');
    const ids = printed.checks.map((check) => check.id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(
      expect.arrayContaining(['kernel', 'crun', 'holder', 'subuid', 'cgroups', 'data', 'swap']),
    );
    expect(printed.untrusted.because).toEqual(missing.map((check) => check.id));
    expect(printed.builds.because).toEqual(
      missing.filter((check) => check.neededFor === 'builds').map((check) => check.id),
    );
    expect(missing.filter((check) => !check.remedy)).toEqual([]);
    expect(status).toBe(printed.builds.fit ? 0 : 1);
    expect(doctor(['--untrusted']).status).toBe(printed.untrusted.fit ? 0 : 1);
  });

  test('prints an aligned list and two verdicts, without colour off a terminal', () => {
    const { stdout } = doctor([]);
    const [list = '', verdicts = ''] = stdout.split('\n\n');
    const rows = list.split('\n').filter((row) => !row.trim().startsWith('→'));
    expect(new Set(rows.map((row) => /^ {2}[✓!✗] \S+ +/.exec(row)?.[0].length)).size).toBe(1);
    expect(verdicts.split('\n').filter(Boolean)).toEqual([
      expect.stringMatching(/^[✓✗] This machine (can|should not) run builds/),
      expect.stringMatching(/^[✓✗] This machine (can|should not) run untrusted builds/),
    ]);
    expect(stdout).not.toContain('\u001B');
  });

  test('a missing tool: what it is for, the command that mends it, exit code 1', () => {
    using clone = makeClone('fresh');
    const { stdout, status } = doctor([], toolsWithout(clone.aside, ['crun']));
    expect(stdout).toMatch(
      /^ {2}✗ crun +not on PATH \(starts containers\)\n +→ apt-get update && apt-get install .* crun$/m,
    );
    expect(stdout).toContain('This machine should not run builds: crun');
    expect(status).toBe(1);
  });

  // Below a home that only its owner can enter, another user cannot run it.
  const hidden = execute([...nobody, 'test', '-x', command], { env: { PATH: '/usr/bin:/bin' } }).status !== 0;
  test.skipIf(hidden)('without root: says so, and puts sudo before what needs it', () => {
    using clone = makeClone('fresh');
    const { stdout, status } = doctor([], toolsWithout(clone.aside, ['crun']), nobody);
    expect(stdout).toContain('running as uid 65534');
    expect(stdout).toContain('→ sudo apt-get update && sudo apt-get install');
    expect(status).toBe(1);
  });
});
