import type { BuildRecord, ServiceRecord, StepRecord, WorkflowRecord } from '../build.ts';
import { duration, size } from './format.ts';
import { paint, type Style, visible } from './paint.ts';

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

/** What became of a build, in lines; in the order of the workflow files, whatever ran beside what. */
export function* summary(record: BuildRecord, keptIn: string | undefined): Generator<string> {
  const { timings, usage, workflows } = record;
  yield '';
  for (const workflow of workflows) {
    const indent = workflows.length > 1 ? '  ' : '';
    if (workflows.length > 1) yield line('', workflow, spent(workflow), 'bold');
    for (const service of workflow.services ?? []) yield line(indent, named(service), spent(service));
    for (const step of workflow.steps) yield line(indent, step, spent(step));
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

type Shown = StepRecord | ServiceRecord | WorkflowRecord;

const named = (service: ServiceRecord): ServiceRecord => ({ ...service, name: `service:${service.name}` });

/** Mark, name, and how long it took; where it is no chain, what it waited for. */
function line(indent: string, shown: Shown, note: string, style?: Style): string {
  const [mark, colour] = marks[shown.status];
  const name = visible(shown.name).padEnd(28 - indent.length);
  const after = 'dependsOn' in shown && shown.dependsOn && shown.dependsOn.length > 0 ? shown.dependsOn : [];
  const waited = after.length > 0 ? `  after ${visible(after.join(', '))}` : '';
  const start = `${indent}${paint(colour, mark)} ${style ? paint(style, name) : name}`;
  return `${start} ${paint('dim', waited === '' ? note : note.padEnd(10) + waited)}`;
}

function spent(shown: Shown): string {
  const { status, startedAt, finishedAt } = shown;
  if (status === 'skipped') {
    const because = 'because' in shown ? shown.because : undefined;
    return because === undefined ? 'skipped' : `skipped: ${visible(because)} failed`;
  }
  return startedAt && finishedAt ? duration(Date.parse(finishedAt) - Date.parse(startedAt)) : '';
}
