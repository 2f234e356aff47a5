import { describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { shellScript } from '../../../src/workflow/script.ts';

async function outcomeOf(
  shell: string,
  commands: readonly string[],
): Promise<{ code: number; output: string }> {
  // Both streams in one, in the order they were written; the status as the last line.
  const wrapper = `${shell} -c "$1" 2>&1; echo "exit $?"`;
  const { stdout } = await run({ file: 'sh', args: ['-c', wrapper, 'sh', shellScript(commands)], cwd: '/' });
  const [, output = '', code] = /^([^]*)exit (\d+)\n$/.exec(stdout.toString()) ?? [];
  return { code: Number(code), output };
}

describe.each(['dash', 'bash'])('run by %s', (shell) => {
  test.each<[string, string[], string]>([
    ['shows each command before it runs', ['echo a', 'echo b'], '+ echo a\na\n+ echo b\nb\n'],
    ['quotes', [`echo 'a'"b"\\'`], `+ echo 'a'"b"\\'\nab'\n`],
    [
      'backslashes and percent signs',
      [`printf '%s\\n' 'a\\tb' '%d'`],
      `+ printf '%s\\n' 'a\\tb' '%d'\na\\tb\n%d\n`,
    ],
    [
      'nothing is expanded in what is shown',
      ['echo $((1+1)) `echo x` # $HOME'],
      '+ echo $((1+1)) `echo x` # $HOME\n2 x\n',
    ],
    ['several lines', ['for i in 1 2; do\n  echo $i\ndone\n'], '+ for i in 1 2; do\n  echo $i\ndone\n1\n2\n'],
    ['a here-document', ["cat <<'EOF'\n$x\n  'y\nEOF"], "+ cat <<'EOF'\n$x\n  'y\nEOF\n$x\n  'y\n"],
    [
      'the shell is one',
      ['cd /usr', 'export A=1; B=2', 'pwd; echo $B; env | grep ^A='],
      ['+ cd /usr\n+ export A=1; B=2\n+ pwd; echo $B; env | grep ^A=\n/usr\n2\nA=1\n'].join(''),
    ],
    [
      'a command that spans several entries',
      ['if true; then', 'echo yes', 'fi'],
      '+ if true; then\n+ echo yes\nyes\n+ fi\n',
    ],
    ['a backslash at the end', ['echo a \\', 'echo b'], '+ echo a \\\na\n+ echo b\nb\n'],
    ['a comment', ['# nothing', 'echo a'], '+ # nothing\n+ echo a\na\n'],
    [
      'a failure that is handled',
      ['false || true', 'if false; then :; fi', 'echo on'],
      '+ false || true\n+ if false; then :; fi\n+ echo on\non\n',
    ],
  ])('%s', async (_, commands, expected) => {
    const { code, output } = await outcomeOf(shell, commands);
    expect({ code, output }).toEqual({ code: 0, output: expected });
  });

  test.each<[string, string[], number, string]>([
    ['the first failure ends it', ['echo a', 'false', 'echo b'], 1, '+ echo a\na\n+ false\n'],
    ['with its own code', ['(exit 7)', 'echo b'], 7, '+ (exit 7)\n'],
    ['also on a line of several', ['true\nfalse\necho b'], 1, '+ true\nfalse\necho b\n'],
    ['exit ends it', ['exit 3', 'echo b'], 3, '+ exit 3\n'],
  ])('%s', async (_, commands, code, output) => {
    expect(await outcomeOf(shell, commands)).toEqual({ code, output });
  });

  test.each([['echo "a'], ['echo )'], ['if true; then']])('a syntax error fails: %s', async (command) => {
    expect((await outcomeOf(shell, [command])).code).not.toBe(0);
  });
});
