import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { BuildRecord, StepRecord } from '../../../src/build.ts';
import { createScreen } from '../../../src/cli/screen.ts';
import { recorder, recordOf } from './recorder.ts';

beforeEach(() => {
  vi.stubEnv('NO_COLOR', '1');
  vi.stubEnv('FORCE_COLOR', undefined);
});
afterEach(() => void vi.unstubAllEnvs());

const rule = (name: string) => `── ${name} ${'─'.repeat(60 - name.length)}\n`;
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

describe('the summary', () => {
  const show = async (record: Partial<BuildRecord>, keptIn?: string) => {
    const output = recorder();
    await createScreen(output).end(recordOf(record), keptIn);
    expect(output.stdout().length).toBe(0);
    return output.stderr();
  };

  test('has steps, artifacts, phases, usage and the verdict', async () => {
    const steps: StepRecord[] = [
      {
        name: 'build',
        status: 'passed',
        startedAt: '2026-01-01T00:00:00.000Z',
        finishedAt: '2026-01-01T00:01:05.000Z',
      },
      {
        name: 'test',
        status: 'failed',
        startedAt: '2026-01-01T00:00:00.000Z',
        finishedAt: '2026-01-01T00:00:00.250Z',
      },
      { name: 'deploy', status: 'skipped' },
    ];
    expect(
      await show(
        {
          status: 'failed',
          reason: 'oom',
          workflows: [{ name: 'ci', status: 'failed', steps }],
          artifacts: [{ path: 'dist/a', size: 2048, sha256: 'abc' }],
        },
        'out',
      ),
    ).toBe(
      [
        '',
        '✓ build                        1 min 05 s',
        '✗ test                         250 ms',
        '- deploy                       skipped',
        '↓ dist/a  2.0 KiB  sha256:abc',
        '  artifacts are in out',
        'prepare 1 ms · sandbox 2 ms · run 1.2 s · collect 4 ms · destroy 5 ms',
        'cpu 0.50 s · memory 1.0 MiB · disk 2.0 KiB',
        'failed (oom)',
        '',
      ].join('\n'),
    );
  });

  test('says how artifacts could have been kept', async () => {
    expect(await show({ artifacts: [{ path: 'a', size: 1, sha256: 'f' }] })).toContain(
      '\n  artifacts were not kept; --artifacts DIR keeps them\n',
    );
  });

  test.each<readonly [Partial<BuildRecord>, string]>([
    [{}, 'passed'],
    [{ status: 'failed', reason: 'exit' }, 'failed'],
    [{ status: 'failed', reason: 'disk' }, 'failed (disk)'],
    [{ status: 'errored', reason: 'image', message: 'no such image' }, 'no such image\nerrored (image)'],
    [{ status: 'timed_out', reason: 'timeout' }, 'timed out'],
    [{ status: 'canceled', reason: 'canceled' }, 'canceled'],
  ])('ends %j', async (record, end) => {
    expect((await show(record)).endsWith(`2.0 KiB\n${end}\n`)).toBe(true);
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
