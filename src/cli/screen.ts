import { styleText } from 'node:util';
import type { BuildRecord, StepRecord } from '../build.ts';
import { duration, size } from './format.ts';
import type { Output } from './output.ts';

type Style = Parameters<typeof styleText>[0];

/** Shows a build to a person: the log on stdout as it came, everything else on stderr. */
export function createScreen(output: Output) {
  let shown: string | undefined;
  /** On a terminal, which shows both streams; and in the log alone. */
  let lineOpen = false;
  let logOpen = false;
  // Each call hands on all it has to say before it waits, so that others cannot come between.
  /** A line of ours; begins on a new line, whatever the log ended with, and adds nothing to the log. */
  const say = (line: string): Promise<void> => {
    const text = lineOpen ? `\n${line}\n` : `${line}\n`;
    lineOpen = false;
    return output.err(text);
  };
  const header = (step: string) => {
    shown = step;
    const rule = '─'.repeat(Math.max(3, 60 - step.length));
    return say(`${paint(['bold', 'cyan'], `── ${step} `)}${paint('dim', rule)}`);
  };

  return {
    progress: (message: string) => void say(paint('dim', message)),
    warning: (message: string) => void say(paint('yellow', `warning: ${message}`)),
    step: async (step: StepRecord) => {
      if (step.status === 'running') await header(step.name);
      else if (step.status !== 'passed' && step.status !== 'skipped')
        await say(paint('red', verdictLine(step)));
    },
    chunk: async (step: string, chunk: Buffer) => {
      if (step !== shown) void header(step);
      lineOpen = logOpen = chunk.at(-1) !== 10;
      await output.out(chunk);
    },
    cutBegins: () => say(paint('yellow', 'the log is long: the last part of it follows when the build ends')),
    cutEnds: async (cutBytes: number) => {
      const before = logOpen ? '\n' : '';
      lineOpen = logOpen = false;
      await output.out(`${before}[cofferdam: ${cutBytes} bytes of the log were cut here]\n`);
    },
    artifact: () => {},
    end: async (record: BuildRecord, keptIn: string | undefined) => {
      for (const line of summary(record, keptIn)) await say(line);
    },
  };
}

/** In colour where stderr has it. */
function paint(style: Style, text: string): string {
  return styleText(style, visible(text), { stream: process.stderr });
}

/** Names and messages may be a stranger's: they must not steer the terminal, nor make lines of their own. */
function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function verdictLine({ name, status, reason, exitCode }: StepRecord): string {
  const why: Partial<Record<NonNullable<StepRecord['reason']>, string>> = {
    oom: 'it ran out of memory; raise resources.memory, or use less',
    disk: 'its disk is full; raise resources.disk, or write less',
    pids: 'it reached the limit of processes; raise resources.pids, or start fewer',
  };
  if (status === 'failed') return `${name}: ${(reason && why[reason]) ?? `exit code ${exitCode}`}`;
  return `${name}: ${status.replace('_', ' ')}`;
}

const marks: Record<StepRecord['status'], readonly [mark: string, style: Style]> = {
  passed: ['✓', 'green'],
  failed: ['✗', 'red'],
  errored: ['!', 'red'],
  canceled: ['-', 'yellow'],
  timed_out: ['✗', 'red'],
  skipped: ['-', 'dim'],
  queued: ['…', 'dim'],
  running: ['…', 'dim'],
};

function* summary(record: BuildRecord, keptIn: string | undefined): Generator<string> {
  const { timings, usage } = record;
  yield '';
  for (const step of record.workflows.flatMap(({ steps }) => steps)) {
    const [mark, style] = marks[step.status];
    const spent =
      step.startedAt && step.finishedAt
        ? Date.parse(step.finishedAt) - Date.parse(step.startedAt)
        : undefined;
    const note = step.status === 'skipped' ? 'skipped' : spent === undefined ? '' : duration(spent);
    yield `${paint(style, mark)} ${visible(step.name).padEnd(28)} ${paint('dim', note)}`;
  }
  for (const { path, size: bytes, sha256 } of record.artifacts) {
    yield `${paint('cyan', '↓')} ${visible(path)}  ${paint('dim', `${size(bytes)}  sha256:${sha256}`)}`;
  }
  if (record.artifacts.length > 0) {
    yield paint(
      'dim',
      keptIn ? `  artifacts are in ${keptIn}` : '  artifacts were not kept; --artifacts DIR keeps them',
    );
  }
  const phases = [
    ['prepare', timings.prepareMs],
    ['sandbox', timings.sandboxMs],
    ['run', timings.runMs],
    ['collect', timings.collectMs],
    ['destroy', timings.destroyMs],
  ] as const;
  yield paint('dim', phases.map(([name, ms]) => `${name} ${duration(ms)}`).join(' · '));
  yield paint(
    'dim',
    `cpu ${usage.cpuSeconds.toFixed(2)} s · memory ${size(usage.memoryPeakBytes)} · disk ${size(usage.diskPeakBytes)}`,
  );
  if (record.message) yield paint('red', record.message);
  const [, style] = marks[record.status];
  const known = ['exit', 'timeout', 'canceled'];
  const why = record.reason && !known.includes(record.reason) ? ` (${record.reason})` : '';
  yield paint(['bold', ...[style].flat()], `${record.status.replace('_', ' ')}${why}`);
}
