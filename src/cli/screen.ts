import { styleText } from 'node:util';
import type { BuildRecord, StepRecord } from '../build.ts';
import { duration, size } from './format.ts';
import type { Output } from './output.ts';

type Style = Parameters<typeof styleText>[0];

/** Shows a build to a person: the log on stdout, everything else on stderr. */
export function createScreen(output: Output, logCapBytes: number) {
  let shown: string | undefined;
  let lineOpen = false;
  const paint = (style: Style, text: string) => styleText(style, text, { stream: process.stderr });

  /** A line of ours; begins on a new line, whatever the log ended with. */
  const say = async (line: string): Promise<void> => {
    if (lineOpen) await output.out('\n');
    lineOpen = false;
    await output.err(`${line}\n`);
  };
  const header = (step: string, note = '') => {
    shown = step;
    return say(
      paint(['bold', 'cyan'], `── ${step} `) + paint('dim', `${note}${'─'.repeat(60 - step.length)}`.trim()),
    );
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
      if (step !== shown) await header(step);
      lineOpen = chunk.at(-1) !== 10;
      await output.out(chunk);
    },
    cutBegins: () =>
      say(
        paint('yellow', `the log is longer than ${size(logCapBytes)}: its end follows when the build ends`),
      ),
    cutEnds: async (cutBytes: number) => {
      if (lineOpen) await output.out('\n');
      lineOpen = false;
      await output.out(`[cofferdam: ${cutBytes} bytes of the log were cut here]\n`);
    },
    artifact: () => {},
    end: async (record: BuildRecord, keptIn: string | undefined) => {
      for (const line of summary(record, keptIn, paint)) await say(line);
    },
  };
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

function* summary(
  record: BuildRecord,
  keptIn: string | undefined,
  paint: (style: Style, text: string) => string,
): Generator<string> {
  const { timings, usage } = record;
  yield '';
  for (const step of record.workflows.flatMap(({ steps }) => steps)) {
    const [mark, style] = marks[step.status];
    const spent =
      step.startedAt && step.finishedAt
        ? Date.parse(step.finishedAt) - Date.parse(step.startedAt)
        : undefined;
    const note = step.status === 'skipped' ? 'skipped' : spent === undefined ? '' : duration(spent);
    yield `${paint(style, mark)} ${step.name.padEnd(28)} ${paint('dim', note)}`;
  }
  for (const { path, size: bytes, sha256 } of record.artifacts) {
    yield `${paint('cyan', '↓')} ${JSON.stringify(path).slice(1, -1)}  ${paint('dim', `${size(bytes)}  sha256:${sha256}`)}`;
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
  const why =
    record.reason && record.reason !== 'exit' && record.status !== 'timed_out' ? ` (${record.reason})` : '';
  yield paint(['bold', ...[style].flat()], `${record.status.replace('_', ' ')}${why}`);
}
