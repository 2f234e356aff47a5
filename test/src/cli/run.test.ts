import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import type { BuildRecord } from '../../../src/build.ts';
import { version } from '../../../src/version.ts';
import { type Directory, temporaryDirectory } from '../../workers/directory.ts';
import { cofferdam, image, makeImage, script } from './cofferdam.ts';

let source: Directory;
beforeAll(makeImage, 300_000);
beforeEach(() => void (source = temporaryDirectory()));
afterEach(() => source[Symbol.dispose]());

const workflow = (text: string) => source.write({ '.cofferdam.yaml': `image: ${image}\n${text}` });
const runSource = (...options: readonly string[]) => cofferdam(['run', ...options, source.path]);

interface BuildEvent {
  readonly type: string;
  readonly status?: string;
  readonly data?: string;
  readonly base64?: string;
  readonly record?: BuildRecord;
}

/** The NDJSON that a build wrote. */
function eventsOf(stdout: Buffer): BuildEvent[] {
  const lines = stdout.toString().trimEnd().split('\n');
  return lines.map((line): BuildEvent => JSON.parse(line));
}

describe('the exit code', () => {
  test.each([
    ['passed', 'exit 0', 0],
    ['failed', 'exit 7', 1],
    ['killed by a signal', 'kill -9 $$', 1],
    ['a program that does not exist', 'exec nothing', 1],
  ])('%s', async (_, text, code) => expect((await cofferdam(script(text))).code).toBe(code));

  test('errored, when the image cannot be had', async () => {
    const unknown = ['--pull', 'never', '--image', 'no/such:image'];
    const { code, stdout, stderr } = await cofferdam(['run', ...unknown, source.path, '--', 'true']);
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toMatch(
      /\nimage no\/such:image is not in the store; bring it in with `cofferdam image pull no\/such:image`\nerrored \(image\)\n$/,
    );
  });

  test('errored, when no registry answers', async () => {
    const { code, stderr } = await cofferdam(['run', '--image', '127.0.0.1:1/x', source.path, '--', 'true']);
    expect(code).toBe(3);
    expect(stderr).toMatch(
      /\nimage 127\.0\.0\.1:1\/x: the registry cannot be reached: .*\nerrored \(registry\)\n$/,
    );
  });
});

describe('a step whose program cannot be run says so in the log', () => {
  test.each([
    ['not there', ['nothing'], 127, 'cofferdam: nothing: not found\n'],
    ['not executable', ['./file'], 126, 'cofferdam: ./file: Permission denied\n'],
    ['a directory', ['/etc'], 126, 'cofferdam: /etc: Permission denied\n'],
  ])('%s', async (_, args, exitCode, line) => {
    source.write({ file: '' });
    const { code, stdout, stderr } = await cofferdam(['run', '--image', image, source.path, '--', ...args]);
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 1, stdout: line });
    expect(stderr).toContain(`: exit code ${exitCode}\n`);
  });

  test('an image without a shell', async () => {
    const name = `test-bare-${process.pid}`;
    source.write({
      'root/etc/os-release': '',
      'src/.cofferdam.yaml': `image: ${name}\nsteps: [{commands: [ls]}]\n`,
    });
    expect((await cofferdam(['image', 'import', name, join(source.path, 'root')])).code).toBe(0);
    try {
      const { code, stdout } = await cofferdam(['run', join(source.path, 'src')]);
      expect({ code, stdout: stdout.toString() }).toEqual({
        code: 1,
        stdout: 'cofferdam: /bin/sh: not found\n',
      });
    } finally {
      await cofferdam(['image', 'rm', name]);
    }
  });
});

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

test('stdout is the log, both streams in order; stderr is the rest', async () => {
  workflow(`steps:
  - name: one
    commands: ['echo out; echo err >&2; echo out again']
  - name: two
    commands: ['printf "no newline"']
`);
  const { code, stdout, stderr } = await runSource();
  expect(code).toBe(0);
  expect(stdout.toString()).toBe(
    '+ echo out; echo err >&2; echo out again\nout\nerr\nout again\n+ printf "no newline"\nno newline',
  );
  expect(stderr).toMatch(
    /^── one ─+\n── two ─+\n\n\n✓ one +[\d.]+ m?s\n✓ two +[\d.]+ m?s\nprepare .*\ncpu .*\npassed\n$/,
  );
});

test('--json: events as they happen, the record last, nothing else on stdout', async () => {
  workflow('steps: [{name: a, commands: ["printf \'\\\\377\'", "false"]}, {name: b, commands: [ls]}]\n');
  const { code, stdout, stderr } = await runSource('--json');
  const events = eventsOf(stdout);
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(events.map(({ type, status }) => [type, status].join(' ').trim())).toEqual([
    'workflow running',
    'step running',
    ...events.filter(({ type }) => type === 'log').map(({ type }) => type),
    'step failed',
    'step skipped',
    'workflow failed',
    'end',
  ]);
  const bytes = events.map(({ data = '', base64 }) =>
    base64 === undefined ? Buffer.from(data) : Buffer.from(base64, 'base64'),
  );
  expect(Buffer.concat(bytes).toString('latin1')).toBe("+ printf '\\377'\n\xff+ false\n");
  expect(events.at(-1)).toMatchObject({
    record: {
      status: 'failed',
      reason: 'exit',
      source: { repo: source.path },
      workflows: [
        {
          name: 'cofferdam',
          steps: [
            {
              name: 'a',
              status: 'failed',
              exitCode: 1,
              image: { ref: image, digest: expect.stringMatching(/^sha256:/) },
            },
            { name: 'b', status: 'skipped' },
          ],
        },
      ],
      log: { bytes: 25, truncated: false },
    },
  });
});

test('steps share a container; one with an image of its own shares the workspace alone', async () => {
  workflow(`steps:
  - name: first
    commands: ['sleep 1000 & echo $! >/tmp/pid', 'cd /; echo made >/workspace/made']
  - name: second
    commands: ['kill -0 $(cat /tmp/pid) && echo still there', 'cat made; pwd']
  - name: own
    image: ${image}
    commands: ['ls /tmp; cat made', 'echo own >own']
  - name: third
    commands: ['kill $(cat /tmp/pid); cat own']
`);
  const { code, stdout } = await runSource();
  const log = stdout.toString().replace(/^\+.*\n/gm, '');
  expect({ code, log }).toEqual({ code: 0, log: 'still there\nmade\n/workspace\nmade\nown\n' });
});

test('a step is over when its command is, whatever still runs and holds its output', async () => {
  workflow(
    'steps: [{commands: ["sleep 1000 &", "(setsid sh -c \\"sleep 1000; echo late\\" &)", "echo done"]}]\n',
  );
  const began = performance.now();
  expect((await runSource()).stdout.toString()).toMatch(/done\n$/);
  expect(performance.now() - began).toBeLessThan(5000);
});

test('the environment is CI, the workflow, the step and --env; nothing of this machine', async () => {
  workflow(
    'environment: {A: workflow, B: workflow, C: workflow}\nsteps: [{commands: ["env -0"], environment: {B: step, C: step}}]\n',
  );
  const { stdout } = await cofferdam(['run', '--env', 'C=option', '-e', 'D=a=b', source.path], {
    env: { SECRET: 'of the host', LD_PRELOAD: '' },
  });
  const entries = stdout.toString().replace('+ env -0\n', '').split('\0').slice(0, -1).sort();
  expect(entries).toEqual([
    'A=workflow',
    'B=step',
    'C=option',
    'CI=true',
    expect.stringMatching(/^CI_PIPELINE_CREATED=\d{10}$/),
    'CI_PIPELINE_EVENT=manual',
    expect.stringMatching(/^CI_PIPELINE_STARTED=\d{10}$/),
    'CI_STEP_NAME=step-1',
    'CI_STEP_NUMBER=0',
    expect.stringMatching(/^CI_STEP_STARTED=\d{10}$/),
    'CI_SYSTEM_NAME=cofferdam',
    `CI_SYSTEM_VERSION=${version}`,
    'CI_WORKFLOW_NAME=cofferdam',
    'CI_WORKSPACE=/workspace',
    expect.stringMatching(/^COFFERDAM_BUILD_ID=[0-9A-Z]{26}$/),
    'D=a=b',
    'HOME=/root',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'PWD=/workspace',
  ]);
});

describe('the source', () => {
  const state = async () => {
    const find = [
      '-printf',
      '%p %y %m %u %g %s %T@ %l\\0',
      '-type',
      'f',
      '-exec',
      'sha256sum',
      '-z',
      '{}',
      ';',
    ];
    return (await run({ file: 'find', args: [source.path, ...find] })).stdout.toString();
  };

  test('stays as it was, whatever a build does to it', async () => {
    source.write({ file: 'content', 'dir/below': 'below', script: '#!/bin/sh\n' });
    chmodSync(join(source.path, 'script'), 0o755);
    workflow(
      'steps: [{commands: ["echo x >>file; chmod 0 dir; chown 1:1 dir/below; ln -sf /etc script; touch new", "rm -rf dir file .cofferdam.yaml", "ls -A"]}]\n',
    );
    const before = await state();
    const { stdout } = await runSource();
    expect(stdout.toString()).toMatch(/\+ ls -A\nnew\nscript\n$/);
    expect(await state()).toBe(before);
  });

  test('has no files that git ignores', async () => {
    source.write({
      '.gitignore': '*.o\n/secret\n',
      'a.c': '',
      'a.o': '',
      'deep/b.o': '',
      'deep/b.c': '',
      'secret/key': '',
    });
    await run({ file: 'git', args: ['init', '--quiet', source.path] });
    const { stdout } = await cofferdam([
      'run',
      '--image',
      image,
      source.path,
      '--',
      'find',
      '-path',
      './.git',
      '-prune',
      '-o',
      '-type',
      'f',
      '-print',
    ]);
    expect(stdout.toString().split('\n').sort()).toEqual(['', './.gitignore', './a.c', './deep/b.c']);
  });
});

describe('--artifacts', () => {
  const steps = (...commands: readonly string[]) => `steps: [{commands: ${JSON.stringify(commands)}}]\n`;

  test('keeps what the build made, with sizes and checksums that are right', async () => {
    using out = temporaryDirectory();
    const directory = join(out.path, 'made/by the command');
    workflow(
      `artifacts: ['dist/**', '*.bin', nothing]\n${steps(
        'mkdir -p dist/deep; head -c 3000000 /dev/urandom >dist/deep/large; echo small >dist/small',
        'printf x >"dist/$(printf "new\\nline")"; : >empty.bin; echo no >other',
        'chmod 755 dist/small; cat dist/deep/large | sha256sum',
      )}`,
    );
    const { code, stdout, stderr } = await runSource('--json', '--artifacts', directory);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const events = eventsOf(stdout);
    const { artifacts = [] } = events.at(-1)?.record ?? {};
    expect(artifacts.map(({ path, size }) => [path, size])).toEqual([
      ['dist/deep/large', 3_000_000],
      ['dist/new\nline', 1],
      ['dist/small', 6],
      ['empty.bin', 0],
    ]);
    expect(events.filter(({ type }) => type === 'artifact').length).toBe(4);
    expect(events).toContainEqual({ type: 'warning', message: "artifacts: nothing matches 'nothing'" });
    const { stdout: sums } = await run({
      file: 'sha256sum',
      args: ['--zero', ...artifacts.map(({ path }) => path)],
      cwd: directory,
    });
    expect(sums.toString()).toBe(artifacts.map(({ sha256, path }) => `${sha256}  ${path}\0`).join(''));
    expect(stdout.toString()).toContain(`${artifacts[0]?.sha256}  -`);
  });

  test('after a failure those that are wanted then', async () => {
    using out = temporaryDirectory();
    workflow(
      `artifacts: [bin, {path: log, when: failure}, {path: both, when: always}]\n${steps('touch bin log both; false')}`,
    );
    const { code, stderr } = await runSource('--artifacts', out.path);
    expect(code).toBe(1);
    expect(readdirSync(out.path).sort()).toEqual(['both', 'log']);
    expect(stderr).toContain(`artifacts are in ${out.path}`);
  });

  test('never what is not a file of the workspace', async () => {
    using out = temporaryDirectory();
    workflow(
      `artifacts: ['**', 'etc/*']\n${steps(
        'rm .cofferdam.yaml; mkdir d; ln -s /etc/shadow d/shadow; ln -s /etc etc; ln -s / root; mkfifo fifo; ln -s ../.. d/up',
        'ln /etc/hostname hard 2>/dev/null || :; rm -f hard; echo fine >fine',
      )}`,
    );
    const { code, stderr } = await runSource('--artifacts', out.path);
    expect({ code, files: readdirSync(out.path, { recursive: true }) }).toEqual({ code: 0, files: ['fine'] });
    expect(stderr).toContain("warning: artifacts: nothing matches 'etc/*'\n");
  });

  test('in the source itself follow no symlink of a stranger', async () => {
    using elsewhere = temporaryDirectory();
    await run({ file: 'ln', args: ['-s', elsewhere.path, join(source.path, 'dist')] });
    workflow(`artifacts: ['dist/*']\n${steps('rm dist; mkdir dist; echo evil >dist/evil')}`);
    const { code, stderr } = await runSource('--artifacts', source.path);
    expect({ code, files: readdirSync(elsewhere.path) }).toEqual({ code: 3, files: [] });
    expect(stderr).toContain(
      `dist is a symlink; remove it, or choose another directory\nerrored (artifacts)\n`,
    );
  });
});

test('verdicts of the kernel are said in words', async () => {
  workflow(`resources: {memory: 64MiB, disk: 16MiB, pids: 20}
steps:
  - {name: mem, failure: ignore, commands: ['tail /dev/zero || true']}
  - {name: full, failure: ignore, commands: ['cat /dev/zero >big']}
  - {name: fork, commands: ['rm big; for i in $(seq 50); do sleep 2 & done; wait']}
`);
  const { code, stderr } = await runSource();
  expect(code).toBe(1);
  expect(stderr).toContain('mem: it ran out of memory; raise resources.memory, or use less\n');
  expect(stderr).toContain('full: its disk is full; raise resources.disk, or write less\n');
  expect(stderr).toContain('fork: it reached the limit of processes; raise resources.pids, or start fewer\n');
  expect(stderr).toMatch(/\nfailed \(pids\)\n$/);
});

test('twenty builds at once', { timeout: 60_000 }, async () => {
  const all = Array.from({ length: 20 }, (_, i) =>
    cofferdam(script(`echo ${i} >/tmp/mine; sleep 0.2; cat /tmp/mine`)),
  );
  const shown = await Promise.all(all);
  expect(shown.map(({ code, stdout }) => [code, stdout.toString()])).toEqual(
    Array.from({ length: 20 }, (_, i) => [0, `${i}\n`]),
  );
});
