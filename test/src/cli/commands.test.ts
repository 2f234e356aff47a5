import { describe, expect, test } from 'vitest';
import { commands } from '../../../src/cli/commands.ts';
import { cofferdam } from './cofferdam.ts';

test.each(Object.entries(commands))(
  '%s is a command of that name, which says what it does',
  async (name, entry) => {
    const command = (await entry.load()).command();
    expect(command.name()).toBe(name);
    expect(command.description()).not.toBe('');
  },
);

describe('cofferdam', () => {
  test.each([
    [[], 2, 'stderr'],
    [['--help'], 0, 'stdout'],
    [['help'], 0, 'stdout'],
  ] as const)('%j lists all commands, in 80 columns', async (args, code, stream) => {
    const shown = await cofferdam(args);
    const lines = String(shown[stream]).split('\n');
    expect(shown.code).toBe(code);
    for (const [name, { group, summary }] of Object.entries(commands)) {
      expect(lines).toContain(`  ${name.padEnd(14)} ${summary}`);
      expect(lines).toContain(group);
    }
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  });

  test.each([
    [
      ['help', 'ls'],
      ['ls', '--help'],
    ],
    [
      ['help', 'artifacts', 'get'],
      ['artifacts', 'get', '--help'],
    ],
  ])('%j is %j', async (args, same) => {
    const { code, stdout } = await cofferdam(args);
    expect(code).toBe(0);
    expect(stdout).toEqual((await cofferdam(same)).stdout);
  });

  test('names the command that was meant', async () => {
    const { code, stderr } = await cofferdam(['rnu']);
    expect([code, stderr]).toEqual([2, "error: unknown command 'rnu'\n(Did you mean run?)\n"]);
  });
});
