import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { BuildRecord, StepRecord, WorkflowRecord } from '../../../src/build.ts';
import { createScreen } from '../../../src/cli/screen.ts';
import { labelOf } from '../../../src/logs/label.ts';
import { recorder, recordOf } from './recorder.ts';

beforeEach(() => {
  vi.stubEnv('NO_COLOR', '1');
  vi.stubEnv('FORCE_COLOR', undefined);
});

afterEach(() => void vi.unstubAllEnvs());
const rule = (name: string) => `── ${name} ${'─'.repeat(60 - name.length)}\n`;
type Screen = ReturnType<typeof createScreen>;
const running = (name: string): StepRecord => ({ name, status: 'running' });

describe('stdout is the log, byte for byte', () => {
  test.each([
    ['no newline at the end', ['one']],
    ['newlines', ['one\n', 'two\n']],
    ['bytes', [Buffer.from([0, 255, 10, 13, 27, 200])]],
  ])('%s', async (_, chunks) => {
    const output = recorder();
    const screen = createScreen(output);
    for (const name of ['a', 'b']) {
      await screen.step(running(name));
      for (const chunk of chunks) await screen.chunk(name, Buffer.from(chunk));
      screen.progress('something');
      screen.warning('something else');
      await screen.step({ name, status: 'failed', reason: 'exit', exitCode: 1 });
    }
    await screen.cutBegins();
    await screen.end(recordOf(), undefined);
    const log = Buffer.concat(chunks.map((chunk) => Buffer.from(chunk)));
    expect(output.stdout()).toEqual(Buffer.concat([log, log]));
  });

  test('but where it was cut, which stands on a line of its own', async () => {
    const output = recorder();
    const screen = createScreen(output);
    await screen.chunk('a', Buffer.from('head'));
    await screen.cutBegins();
    await screen.cutEnds(5);
    await screen.chunk('a', Buffer.from('tail\n'));
    expect(output.stdout().toString()).toBe('head\n[cofferdam: 5 bytes of the log were cut here]\ntail\n');
  });
});

describe('a terminal shows', () => {
  test('each of our lines at the beginning of a line, whatever the log ended with', async () => {
    const output = recorder();
    const screen = createScreen(output);
    await screen.step(running('a'));
    await screen.chunk('a', Buffer.from('no newline'));
    await screen.step(running('b'));
    await screen.chunk('b', Buffer.from('newline\n'));
    screen.warning('w');
    expect(output.terminal()).toBe(`${rule('a')}no newline\n${rule('b')}newline\nwarning: w\n`);
  });

  test('things in the order they happened, although nobody waits', async () => {
    const output = recorder();
    const screen = createScreen(output);
    const first = [screen.step(running('a')), screen.chunk('a', Buffer.from('1'))];
    screen.progress('p');
    await Promise.all([
      ...first,
      screen.chunk('a', Buffer.from('2')),
      screen.step({ name: 'a', status: 'canceled' }),
    ]);
    expect(output.terminal()).toBe(`${rule('a')}1\np\n2\na: canceled\n`);
  });

  test('a header again when the tail of the log goes back to an earlier step', async () => {
    const output = recorder();
    const screen = createScreen(output);
    await screen.step(running('a'));
    await screen.step(running('b'));
    await screen.chunk('a', Buffer.from('x\n'));
    await screen.chunk('b', Buffer.from('y\n'));
    expect(output.terminal()).toBe(`${rule('a')}${rule('b')}${rule('a')}x\n${rule('b')}y\n`);
  });

  test('a header for a name of any length', async () => {
    const output = recorder();
    const name = 'n'.repeat(100);
    await createScreen(output).step(running(name));
    expect(output.terminal()).toBe(`── ${name} ───\n`);
  });

  test.each<readonly [Partial<StepRecord>, string]>([
    [{ status: 'failed', reason: 'exit', exitCode: 7 }, 'a: exit code 7\n'],
    [
      { status: 'failed', reason: 'oom', exitCode: 0 },
      'a: it ran out of memory; raise resources.memory, or use less\n',
    ],
    [
      { status: 'failed', reason: 'disk', exitCode: 1 },
      'a: its disk is full; raise resources.disk, or write less\n',
    ],
    [
      { status: 'failed', reason: 'pids', exitCode: 1 },
      'a: it reached the limit of processes; raise resources.pids, or start fewer\n',
    ],
    [{ status: 'timed_out', reason: 'timeout', exitCode: 143 }, 'a: timed out\n'],
    [{ status: 'errored', reason: 'sandbox' }, 'a: errored\n'],
    [{ status: 'passed' }, ''],
    [{ status: 'skipped' }, ''],
  ])('%j in words', async (step, line) => {
    const output = recorder();
    await createScreen(output).step({ name: 'a', status: 'running', ...step });
    expect(output.terminal()).toBe(line);
  });

  test('nothing that a stranger’s names and messages would steer it with', async () => {
    const output = recorder();
    const screen = createScreen(output);
    const evil = '\u001b[2Jx\u009b31m\rpassed\n';
    await screen.step(running(evil));
    await screen.step({ name: evil, status: 'failed', exitCode: 1 });
    screen.warning(evil);
    screen.progress(evil);
    const record: Partial<BuildRecord> = {
      message: evil,
      artifacts: [{ path: evil, size: 1, sha256: 'f' }],
      workflows: [{ name: evil, status: 'passed', steps: [{ name: evil, status: 'passed' }] }],
    };
    await screen.end(recordOf(record), undefined);
    expect(output.terminal()).not.toMatch(/[^\P{Cc}\n]/u);
    expect(output.terminal().split('\n')).not.toContain('passed\\x0a');
    expect(output.terminal()).toContain('\\x1b[2Jx\\x9b31m\\x0dpassed\\x0a');
  });
});

describe('where things run side by side, each line of the log says whose it is', () => {
  const label = (step: string, of = 'ci') => labelOf({ workflow: of, step });
  const graph = (name: string, status: StepRecord['status'] = 'running'): StepRecord => ({
    name,
    status,
    dependsOn: [],
  });
  const begin: WorkflowRecord = { name: 'ci', status: 'running', steps: [graph('a'), graph('b')] };

  test('and no line is torn, however it was written', async () => {
    const output = recorder();
    const screen = createScreen(output);
    screen.workflow(begin);
    await screen.step(graph('a'), 'ci');
    await screen.step(graph('b'), 'ci');
    await screen.chunk(label('a'), Buffer.from('one\ntw'));
    await screen.chunk(label('b'), Buffer.from('other\n'));
    await screen.chunk(label('a'), Buffer.from('o\nthree'));
    await screen.step(graph('a', 'passed'), 'ci');
    await screen.chunk(label('b'), Buffer.from('rest'));
    await screen.end(recordOf(), undefined);
    expect(output.stdout().toString()).toBe('a | one\nb | other\na | two\na | three\nb | rest\n');
    expect(output.stderr()).not.toContain('──');
  });

  test.each<[string, (screen: Screen) => void]>([
    ['a graph of steps', (screen) => screen.workflow(begin)],
    ['services', (screen) => screen.workflow({ ...begin, steps: [running('a')], services: [running('db')] })],
    [
      'a step of which the record tells that it is one of a graph',
      (screen) => screen.watch(graph('a'), 'ci'),
    ],
    ['the log of a service', (screen) => void screen.chunk(label('service:db'), Buffer.from(''))],
  ])('from the first sign of %s', async (_, sign) => {
    const output = recorder();
    const screen = createScreen(output);
    sign(screen);
    await screen.chunk(label('a'), Buffer.from('x\n'));
    expect(output.stdout().toString()).toBe('a | x\n');
  });

  test('with the workflow where there are several', async () => {
    const output = recorder();
    const screen = createScreen(output, 'lines');
    for (const name of ['ci', 'docs']) screen.workflow({ name, status: 'running', steps: [running('a')] });
    await screen.chunk(label('a'), Buffer.from('x\n'));
    await screen.chunk(label('a', 'docs'), Buffer.from('y\n'));
    await screen.step({ name: 'a', status: 'failed', reason: 'timeout' }, 'docs');
    expect(output.terminal()).toBe('ci/a | x\ndocs/a | y\ndocs/a: it took longer than its timeout\n');
  });

  test('a service that was not ready says so, and not that it ran for too long', async () => {
    const output = recorder();
    await createScreen(output).service(
      { name: 'db', status: 'failed', reason: 'timeout', exitCode: 143 },
      'ci',
    );
    expect(output.terminal()).toBe('service:db: it was not ready in time\n');
  });

  test('after a line that the log left open before', async () => {
    const output = recorder();
    const screen = createScreen(output);
    await screen.chunk(label('a'), Buffer.from('open'));
    screen.workflow(begin);
    await screen.chunk(label('b'), Buffer.from('x\n'));
    expect(output.stdout().toString()).toBe('open\nb | x\n');
  });

  test('and a line without end is shown in parts', async () => {
    const output = recorder();
    const screen = createScreen(output, 'lines');
    for (let i = 0; i < 20; i++) await screen.chunk(label('a'), Buffer.alloc(10_000, 'x'));
    const lines = output.stdout().toString().split('\n');
    expect(lines.slice(0, -1).map(({ length }) => length)).toEqual([65_540, 65_540, 65_540]);
  });
});

describe('colour', () => {
  const header = async () => {
    const output = recorder();
    await createScreen(output).step(running('a'));
    return output.terminal();
  };

  test.each<readonly [NodeJS.ProcessEnv, boolean]>([
    [{ FORCE_COLOR: '1' }, true],
    [{ NO_COLOR: '1' }, false],
    [{}, false],
  ])('off a terminal with %j: %s', async (env, coloured) => {
    vi.stubEnv('NO_COLOR', env['NO_COLOR']);
    vi.stubEnv('FORCE_COLOR', env['FORCE_COLOR']);
    expect((await header()).includes('\u001b[')).toBe(coloured);
  });
});
