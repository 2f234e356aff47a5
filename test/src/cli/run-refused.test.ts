import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { type Directory, temporaryDirectory } from '../../workers/directory.ts';
import { cofferdam, image, makeImage } from './cofferdam.ts';

let source: Directory;
beforeAll(makeImage, 300_000);
beforeEach(() => void (source = temporaryDirectory()));
afterEach(() => source[Symbol.dispose]());
const workflow = (text: string) => source.write({ '.cofferdam.yaml': `image: ${image}\n${text}` });

describe('what is wrong with the command line or the workflow: exit code 2, and nothing runs', () => {
  const refused = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await cofferdam(args, { cwd: source.path });
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 2, stdout: '' });
    return stderr;
  };
  const command = ['--', 'true'];

  test.each<readonly [string, readonly string[], string]>([
    ['no workflow', [], 'no workflow in .: looked for .cofferdam.yaml, '],
    ['no directory', ['none'], 'cannot read none: ENOENT'],
    ['no directory, with --image', ['--image', image, 'none', ...command], 'cannot read none: ENOENT'],
    ['a file', ['file'], 'file is not a directory'],
    ['a file, with --image', ['--image', image, 'file', ...command], 'file is not a directory'],
    ['two directories', ['.', '..'], 'one directory at a time, not . ..; a command goes after --'],
    [
      'no command',
      ['--image', image],
      '--image needs a command: cofferdam run --image REF [DIR] -- CMD [ARG...]',
    ],
    ['no image', command, 'a command after -- needs --image REF'],
    ['no image, with DIR', ['.', ...command], 'a command after -- needs --image REF'],
    ['both', ['--image', image, '-w', 'w', ...command], 'choose --image or --workflow, not both'],
    [
      'artifacts of a command',
      ['--image', image, '--artifacts', 'out', ...command],
      '--image keeps no artifacts: nothing says which files they are; write a workflow ',
    ],
    ['no variable', ['--env', 'X'], "--env takes KEY=VALUE, not 'X'"],
    ['no duration', ['--timeout', '1d', '--image', image, ...command], '--timeout takes 1s to 168h, '],
    ['too long', ['--timeout', '169h', '--image', image, ...command], '--timeout takes 1s to 168h, '],
    [
      'no size',
      ['--log-cap', '5kiB', '--image', image, ...command],
      '--log-cap takes a size of at least 1KiB, ',
    ],
    ['no such file', ['--workflow', 'none.yaml'], 'cannot read the workflow file none.yaml: ENOENT'],
    [
      'artifacts cannot be kept',
      ['--artifacts', 'file/out', '--workflow', 'ci.yaml'],
      '--artifacts file/out cannot be made: ENOTDIR',
    ],
  ])('%s', async (_, args, message) => {
    source.write({ file: '', 'ci.yaml': 'steps: [{ name: a, image: a, commands: [a] }]' });
    expect(await refused('run', ...args)).toContain(`cofferdam: ${message}`);
  });

  test('an unknown option is corrected', async () => {
    expect(await refused('run', '--artefacts', 'x')).toMatch(
      /unknown option '--artefacts'\n\(Did you mean --artifacts\?\)/,
    );
  });

  test('a workflow that is not right, with the place', async () => {
    workflow('steps:\n  - name: a\n    comands: [make]\n');
    expect(await refused('run')).toBe(
      "cofferdam: .cofferdam.yaml:4:5: unknown key 'comands'; did you mean 'commands'?\n",
    );
  });

  test('several workflows that are not right, with all places', async () => {
    source.write({ '.cofferdam/a.yaml': '', '.cofferdam/b.yaml': '' });
    expect(await refused('run')).toBe(
      'cofferdam: .cofferdam/a.yaml:1:1: the file is empty\n.cofferdam/b.yaml:1:1: the file is empty\n',
    );
  });

  test('no workflow that is for a build here, with what would run them', async () => {
    workflow('when: { event: push }\nsteps: [{ commands: [ls] }]\n');
    expect(await refused('run')).toBe(
      'cofferdam: nothing is to be run (cofferdam: its `when` does not hold); --event takes the build for another\n',
    );
  });
});

test('not root: it says what is needed', async () => {
  chmodSync(source.path, 0o755);
  const { main, node } = { main: join(import.meta.dirname, '../../../bin/main.ts'), node: process.execPath };
  const args = ['--reuid=65534', '--regid=65534', '--clear-groups', node, main];
  const failed = await run({
    file: 'setpriv',
    args: [...args, 'run', '--image', image, source.path, '--', 'true'],
    env: { PATH: '/usr/bin:/bin', COFFERDAM_DATA: join(source.path, 'data') },
  }).catch((error: unknown) => error);
  expect(failed).toMatchObject({
    exitCode: 3,
    stderr: 'cofferdam: builds need root on this machine: run it by sudo (rootless is not supported yet)\n',
  });
});
