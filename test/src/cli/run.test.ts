import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { version } from '../../../src/version.ts';
import { cofferdam, eventsOf, image, script, useSource } from './cofferdam.ts';

const { source, workflow, runSource } = useSource();

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
