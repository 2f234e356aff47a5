import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Directory, temporaryDirectory } from '../../workers/directory.ts';
import { cofferdam, image, makeImage } from './cofferdam.ts';

let source: Directory;
beforeAll(makeImage, 300_000);
beforeEach(() => void (source = temporaryDirectory()));
afterEach(() => source[Symbol.dispose]());

const runSource = async (...options: readonly string[]) => {
  const { code, stdout, stderr } = await cofferdam(['run', ...options, source.path]);
  return { code, stdout: stdout.toString(), stderr, lines: stdout.toString().split('\n') };
};
const workflow = (text: string, file = '.cofferdam.yaml') =>
  source.write({ [file]: `image: ${image}\n${text}` });

/** A server of one line of perl, which every Debian has. */
const serve = (port: number, text: string) =>
  `perl -MIO::Socket::IP -e '$| = 1; $s = IO::Socket::IP->new(LocalPort => ${port}, Listen => 5) or die; ` +
  `print "up\\n"; while ($c = $s->accept) { print $c "${text}\\n"; close $c }'`;
const ask = (host: string, port: number) =>
  `perl -MIO::Socket::IP -e 'print IO::Socket::IP->new("${host}:${port}")->getline // die'`;
/** As one line of a workflow. */
const line = (command: string) => JSON.stringify(command);

describe('several workflows', () => {
  test('are one build: side by side, after what they wait for, each with its own workspace', async () => {
    workflow(
      'steps: [{name: make, commands: ["echo built > result", "sleep 0.3", "ls"]}]',
      '.cofferdam/build.yaml',
    );
    workflow('steps: [{name: look, commands: ["ls -a"]}]', '.cofferdam/lint.yaml');
    workflow('depends_on: build\nsteps: [{name: ship, commands: ["ls"]}]', '.cofferdam/deploy.yaml');
    const { code, lines, stderr } = await runSource();
    expect(code, stderr).toBe(0);
    expect(lines).toContain('build/make | result');
    expect(lines).not.toContain('lint/look | result');
    expect(lines).not.toContain('deploy/ship | result');
    expect(lines.indexOf('deploy/ship | + ls')).toBeGreaterThan(lines.indexOf('build/make | result'));
    expect(stderr).toMatch(/^✓ build .*\n {2}✓ make .*\n✓ deploy .* after build\n {2}✓ ship .*\n✓ lint /m);
  });

  test('one of them alone, as if what it waits for had passed', async () => {
    workflow('steps: [{commands: ["exit 1"]}]', '.cofferdam/build.yaml');
    workflow('depends_on: build\nsteps: [{commands: ["echo shipped"]}]', '.cofferdam/deploy.yaml');
    expect((await runSource()).code).toBe(1);
    const alone = await runSource('--workflow', `${source.path}/.cofferdam/deploy.yaml`);
    expect(alone).toMatchObject({ code: 0, stdout: '+ echo shipped\nshipped\n' });
  });

  test('of a matrix, each with its values', async () => {
    workflow('matrix: { A: [1, "1.10"] }\nsteps: [{name: s, commands: ["echo a is $A"]}]');
    const { code, lines } = await runSource();
    expect(code).toBe(0);
    expect(lines).toEqual(
      expect.arrayContaining(['cofferdam (A=1)/s | a is 1', 'cofferdam (A=1.10)/s | a is 1.10']),
    );
  });

  test('that are for another event run when the build is taken for that', async () => {
    workflow('when: { event: push, branch: main }\nsteps: [{commands: ["echo $CI_PIPELINE_EVENT"]}]');
    expect((await runSource('--event', 'push')).stdout).toContain('\npush\n');
  });
});

describe('services', () => {
  test('answer by name and at localhost, and their log is told apart', async () => {
    workflow(`services:
  - { name: greeter, image: ${image}, commands: ${line(serve(7000, 'hello'))}, ready: { tcp: 7000 } }
steps:
  - { name: ask, commands: [${line(ask('greeter', 7000))}, ${line(ask('localhost', 7000))}] }
  - { name: own, image: ${image}, commands: ${line(ask('greeter', 7000))} }
`);
    const { code, lines, stderr } = await runSource();
    expect(code, stderr).toBe(0);
    expect(lines).toContain('service:greeter | up');
    expect(lines.filter((each) => each === 'ask | hello')).toHaveLength(2);
    expect(lines).toContain('own | hello');
    expect(stderr).toMatch(/^✓ service:greeter .*\n✓ ask /m);
  });

  test('one that is not ready in time fails the build, which shows its log', async () => {
    workflow(`services:
  - { name: db, image: ${image}, commands: [echo waiting for a lock, sleep 100], ready: { tcp: 7000, timeout: 1s } }
steps: [{ name: a, commands: [echo never] }]
`);
    const { code, lines, stderr } = await runSource();
    expect(code).toBe(1);
    const heading = "service:db | [cofferdam: service 'db' was not ready within 1s; its last lines:]";
    expect(lines.slice(lines.indexOf(heading))).toContain('service:db | waiting for a lock');
    expect(lines).not.toContain('a | never');
    expect(stderr).toMatch(/service 'db' was not ready within 1s\nfailed \(service\)\n$/);
  });

  test('one that the kernel kills for its memory fails the build, not a step', async () => {
    workflow(`resources: { memory: 256MiB, disk: 64MiB }
services:
  - name: db
    image: ${image}
    commands: [echo up, sleep 0.5, "exec perl -e '$x = \\"x\\" x 400_000_000'"]
    ready: { log: up }
steps: [{ name: a, commands: [sleep 20] }]
`);
    const { code, stderr } = await runSource();
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /service 'db' ran out of memory while steps needed it \(exit code 137\)\nfailed \(service\)\n$/,
    );
    expect(stderr).toContain('a: stopped, as a service is gone');
  });
});

test('steps that need not wait run at one time, in one container and in their own, and others skip for one that failed', async () => {
  workflow(`steps:
  - { name: a, commands: [sleep 1], depends_on: [] }
  - { name: b, commands: [sleep 1] , depends_on: [] }
  - { name: c, image: ${image}, commands: [sleep 1, exit 1], depends_on: [] }
  - { name: d, commands: [echo never], depends_on: [c] }
  - { name: e, commands: [echo after both], depends_on: [a, b] }
`);
  const { code, lines, stderr } = await runSource();
  expect(code).toBe(1);
  expect(lines).toContain('e | after both');
  expect(lines).not.toContain('d | never');
  expect(stderr).toMatch(/^- d +skipped: c failed {2}after c$/m);
  const [, run = ''] = /run ([\d.]+) s/.exec(stderr) ?? [];
  // Three of a second each; two of them one after another would take two.
  expect(Number(run)).toBeLessThan(2);
});

test('a step that takes too long is stopped, and those beside it in the container go on', async () => {
  workflow(`steps:
  - { name: slow, commands: [echo begun, sleep 100], timeout: 1s, depends_on: [] }
  - { name: other, commands: [sleep 1.5, echo on], depends_on: [] }
`);
  const { code, lines, stderr } = await runSource();
  expect(code).toBe(1);
  expect(lines).toContain('other | on');
  expect(stderr).toContain('slow: it took longer than its timeout\n');
});

test('a step in the background is ended with the others, and that is no failure', async () => {
  workflow(`steps:
  - { name: server, commands: ${line(serve(7001, 'hi'))}, detach: true }
  - { name: ask, commands: [sleep 0.5, ${line(ask('localhost', 7001))}] }
`);
  const { code, lines, stderr } = await runSource();
  expect(code, stderr).toBe(0);
  expect(lines).toContain('ask | hi');
});
