import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import type { Check } from '../../../runtime/host.ts';
import { pasteable, repairSteps } from '../../../runtime/host/repair.ts';
import type { Remedy } from '../../../runtime/host/requirement.ts';
import { quote } from '../../../runtime/host/shell.ts';
import { makeHost } from './fixture.ts';

function missing(id: string, remedy: Remedy): Check {
  return { id, purpose: 'x', neededFor: 'builds', status: 'missing', detail: 'x', remedy };
}

const compile = {
  kind: 'command',
  title: 'compile the holder',
  args: ['sh', '-c', "cc 'a b.c'"],
  needsRoot: false,
} as const;
const load = { kind: 'command', title: 'load loop', args: ['modprobe', 'loop'], needsRoot: true } as const;

describe('the steps of a repair', () => {
  test('are one installation of all packages, then the commands; what only a person can do is left out', () => {
    const checks: Check[] = [
      missing('holder', compile),
      missing('crun', { kind: 'packages', names: ['crun'] }),
      missing('swap', { kind: 'advice', text: 'swapoff -a' }),
      { id: 'smt', purpose: 'x', neededFor: 'untrusted', status: 'warn', detail: 'on' },
      { id: 'tar', purpose: 'x', neededFor: 'builds', status: 'ok', detail: '/bin/tar' },
      missing('cc', { kind: 'packages', names: ['gcc', 'crun'] }),
      missing('loop', load),
    ];
    expect(repairSteps(checks)).toEqual([
      { kind: 'install', title: 'install crun gcc', packages: ['crun', 'gcc'] },
      compile,
      load,
    ]);
  });

  test.each([
    [
      1000,
      'sudo apt-get update && sudo apt-get install -y --no-install-recommends crun gcc',
      'sudo modprobe loop',
    ],
    [0, 'apt-get update && apt-get install -y --no-install-recommends crun gcc', 'modprobe loop'],
  ])('as uid %d, can be pasted', (uid, installation, loading) => {
    using host = makeHost({}, { uid });
    expect(pasteable(host, { kind: 'install', title: 'x', packages: ['crun', 'gcc'] })).toBe(installation);
    expect(pasteable(host, load)).toBe(loading);
    expect(pasteable(host, compile)).toBe(`sh -c 'cc '\\''a b.c'\\'''`);
  });
});

test.each(['', 'plain', 'two words', "it's", '$(id) `id` "x" \\', 'a\nb', '*', '-n', '~', 'A=b', '#x', 'é'])(
  'the shell reads %j back as it was',
  (word) => {
    const { stdout } = spawnSync('sh', ['-c', `printf %s ${quote(word)}`], { encoding: 'utf8' });
    expect(stdout).toBe(word);
  },
);
