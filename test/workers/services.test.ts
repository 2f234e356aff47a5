import { describe, expect, test } from 'vitest';
import { fakeDriver, type Script } from '../../runtime/fake/driver.ts';
import type { PlanService, Readiness } from '../../src/workflow/plan.ts';
import { image, play, type Scene, service, step } from './rehearsal.ts';

const playWith = (services: readonly PlanService[], scene: Partial<Scene> = {}) =>
  play({ steps: [step('a', 'print stepping')], ...scene, plan: { services, ...scene.plan } });

const server = (options: Partial<PlanService> = {}) => service('db', 'sleep', options);
const statesOf = (events: readonly string[]) => events.filter((event) => /^(service|step)/.test(event));

describe('services', () => {
  test('run before the first step, all at once, and are ended after the last', async () => {
    const { record, events } = await playWith([server(), service('cache', 'sleep')]);
    expect(statesOf(events)).toEqual([
      'service db running',
      'service cache running',
      'step a running',
      'step a passed',
      'service db passed',
      'service cache passed',
    ]);
    expect(record.status).toBe('passed');
    expect(record.workflows[0]?.services).toMatchObject([
      { name: 'db', status: 'passed', image: { ref: 'server' } },
      { name: 'cache', status: 'passed' },
    ]);
  });

  test('have a log of their own', async () => {
    const { events } = await playWith([service('db', 'sleep')]);
    expect(events).toContain('log service:db zzz');
    expect(events).toContain('log a stepping');
  });

  test('that do not heed SIGTERM are killed after two seconds', async () => {
    const deaf: Script = ({ args: [program] }) => ({ delayMs: program === 'sleep' ? 20_000 : 0 });
    const driver = fakeDriver(deaf);
    const began = performance.now();
    const { record } = await playWith([server()], {
      tools: {
        driver: {
          open: (spec) => {
            const sandbox = driver.open(spec);
            return { ...sandbox, start: (box) => ({ ...sandbox.start(box), signal: () => {} }) };
          },
        },
      },
    });
    expect(record.status).toBe('passed');
    expect(performance.now() - began).toBeGreaterThan(1900);
    expect(performance.now() - began).toBeLessThan(4000);
  });
});

describe('no step begins before a service is ready', () => {
  /** A server that writes `lines` at once, and whose check passes at the third look. */
  const machine = (): Script => {
    let looks = 0;
    return ({ args: [program] }) => {
      if (program === 'check')
        return { exit: { reason: 'exit', code: ++looks < 3 ? 1 : 0 }, output: ['no\n'] };
      return { output: ['starting\nrea', 'dy now\n'], delayMs: program === 'sleep' ? 20_000 : 0 };
    };
  };
  const table: readonly (readonly [string, Readiness])[] = [
    ['by a command', { kind: 'command', args: ['check'], deadlineMs: 5000 }],
    ['by a line of its log, however it was written', { kind: 'log', text: 'ready', deadlineMs: 5000 }],
    ['by a port', { kind: 'tcp', port: 80, deadlineMs: 5000 }],
    ['by http', { kind: 'http', port: 80, path: '/', deadlineMs: 5000 }],
    ['by its image', { kind: 'image', deadlineMs: 5000 }],
    ['at once', { kind: 'none', deadlineMs: 5000 }],
  ];
  test.each(table)('%s', async (_, ready) => {
    const commands: string[] = [];
    const script = machine();
    const driver = fakeDriver((command, files) => {
      commands.push(command.args[0]);
      return script(command, files);
    });
    const healthcheck = { args: ['check'], timeoutMs: 1000 } as const;
    const resolveImage = async (ref: string) => {
      const { config, ...rest } = image(ref);
      return { ...rest, config: { ...config, healthcheck } };
    };
    const { record } = await playWith([server({ ready })], { tools: { driver, resolveImage } });
    expect(record.status).toBe('passed');
    const looks = ready.kind === 'command' || ready.kind === 'image' ? 3 : 0;
    expect(commands).toEqual(['sleep', ...Array.from({ length: looks }, () => 'check'), 'print']);
  });

  test('an image without a check is ready when it runs', async () => {
    const { record } = await playWith([server({ ready: { kind: 'image', deadlineMs: 100 } })]);
    expect(record.status).toBe('passed');
  });
});

describe('a service that fails', () => {
  const never: Readiness = { kind: 'log', text: 'never', deadlineMs: 50 };

  test('to get ready in time fails the build before any step, and shows what it wrote last', async () => {
    const lines = Array.from({ length: 60 }, (_, i) => `line ${i}\n`);
    const driver = fakeDriver(({ args: [program] }) => ({
      output: program === 'sleep' ? lines : [],
      delayMs: program === 'sleep' ? 20_000 : 0,
    }));
    const { record, events } = await playWith([server({ ready: never })], { tools: { driver } });
    const message = "service 'db' was not ready within 0s";
    expect(record).toMatchObject({ status: 'failed', reason: 'service', message });
    expect(record.workflows[0]).toMatchObject({
      status: 'failed',
      reason: 'service',
      steps: [{ name: 'a', status: 'skipped' }],
      services: [{ name: 'db', status: 'failed', reason: 'timeout' }],
    });
    const shown = `log service:db [cofferdam: ${message}; its last lines:]\n${lines.slice(-50).join('')}`;
    expect(events).toContain(shown);
    expect(statesOf(events).filter((event) => event.startsWith('service'))).toEqual([
      'service db running',
      'service db failed',
    ]);
  });

  test('to write its line is not ready for a command that is shown with it', async () => {
    const driver = fakeDriver(({ args: [program] }) => ({
      output: program === '/bin/sh' ? ['+ echo nev', 'er\n'] : [],
      delayMs: program === '/bin/sh' ? 20_000 : 0,
    }));
    const run = { kind: 'commands', commands: ['echo never'] } as const;
    const { record } = await playWith([server({ ready: never, run })], { tools: { driver } });
    expect(record).toMatchObject({ status: 'failed', reason: 'service' });
  });

  test('to get ready says what its check said last', async () => {
    const ready: Readiness = { kind: 'command', args: ['check'], deadlineMs: 50 };
    const driver = fakeDriver(({ args: [program] }) =>
      program === 'check'
        ? { exit: { reason: 'exit', code: 2 }, output: ['one\n', 'no route\n'] }
        : { delayMs: 20_000 },
    );
    const { record } = await playWith([server({ ready })], { tools: { driver } });
    expect(record.message).toBe("service 'db' was not ready within 0s (check exited with 2: no route)");
  });

  test('by ending before it is ready fails the build at once', async () => {
    const began = performance.now();
    const { record } = await playWith([service('db', 'exit 3', { ready: { ...never, deadlineMs: 60_000 } })]);
    expect(performance.now() - began).toBeLessThan(1000);
    expect(record).toMatchObject({
      status: 'failed',
      reason: 'service',
      message: "service 'db' ended before it was ready (exit code 3)",
    });
    expect(record.workflows[0]?.services).toMatchObject([{ status: 'failed', reason: 'exit', exitCode: 3 }]);
  });

  test.each([
    ['ends', 'after 30 0', 'exit', "service 'db' ended while steps needed it (exit code 0)"],
    ['ends with an error', 'after 30 9', 'exit', "service 'db' ended while steps needed it (exit code 9)"],
    [
      'runs out of memory',
      'oom 137',
      'oom',
      "service 'db' ran out of memory while steps needed it (exit code 137)",
    ],
  ])('while steps run, as it %s: they are stopped', async (_, words, reason, message) => {
    const { record } = await playWith([service('db', words), service('cache', 'sleep')], {
      steps: [step('a', 'sleep'), step('b', 'exit 0', { when: ['success', 'failure'] })],
    });
    expect(record).toMatchObject({ status: 'failed', reason: 'service', message });
    expect(record.workflows[0]).toMatchObject({
      steps: [
        { name: 'a', status: 'canceled', reason: 'service' },
        { name: 'b', status: 'skipped' },
      ],
      services: [
        { name: 'db', status: 'failed', reason },
        { name: 'cache', status: 'canceled' },
      ],
    });
  });

  test('does not matter with `failure: ignore`', async () => {
    const optional = { onFailure: 'ignore' } as const;
    const { record } = await playWith(
      [service('late', 'sleep', { ready: never, ...optional }), service('dying', 'after 10 1', optional)],
      { steps: [step('a', 'after 100')] },
    );
    expect(record.status).toBe('passed');
    expect(record.workflows[0]?.services).toMatchObject([
      { name: 'late', status: 'failed', reason: 'timeout' },
      { name: 'dying', status: 'failed', reason: 'exit' },
    ]);
  });

  test('leaves what the steps made for artifacts of a failure', async () => {
    const { record } = await playWith([service('db', 'after 30 1')], {
      steps: [step('a', 'write report x'), step('b', 'sleep')],
      artifacts: [{ glob: 'report', when: 'failure' }],
    });
    expect(record.artifacts).toMatchObject([{ path: 'report' }]);
  });
});

test('a build that is canceled while its services get ready ends at once', async () => {
  const { record } = await playWith([server({ ready: { kind: 'log', text: 'never', deadlineMs: 60_000 } })], {
    on: (event, abort) => (event === 'log service:db zzz' ? abort.request('canceled') : undefined),
  });
  expect(record).toMatchObject({ status: 'canceled' });
  expect(record.workflows[0]).toMatchObject({
    steps: [{ status: 'skipped' }],
    services: [{ status: 'canceled' }],
  });
});

test('the platform failing under a service is errored', async () => {
  const { record } = await playWith([service('db', 'nothing')]);
  expect(record).toMatchObject({ status: 'errored', reason: 'internal' });
});

test('an image that says nothing of what to run is an error that says so', async () => {
  const { record } = await playWith([service('db', '', { run: { kind: 'image' } })]);
  expect(record).toMatchObject({ status: 'errored', reason: 'image' });
  expect(record.message).toBe(
    "server says nothing of what to run (no ENTRYPOINT, no CMD): give the service 'db' commands",
  );
});

test("a service runs its image's entrypoint, where and as whom the image says; steps are root in the workspace", async () => {
  const seen: unknown[] = [];
  const driver = fakeDriver(({ args, cwd, user }) => {
    seen.push([args.join(' '), cwd, user]);
    return { delayMs: args[1] === '-D' ? 20_000 : 0 };
  });
  const resolveImage = async (ref: string) => ({
    ...image(ref),
    config: { env: [], workingDir: '/data', user: 'postgres', entrypoint: ['postgres'], cmd: ['-D', '.'] },
  });
  await playWith([service('db', '', { run: { kind: 'image' } })], {
    steps: [step('a', '', { run: { kind: 'image', args: ['--version'] } })],
    tools: { driver, resolveImage },
  });
  expect(seen).toEqual([
    ['postgres -D .', '/data', 'postgres'],
    ['postgres --version', '/workspace', undefined],
  ]);
});
