import type { BuildRecord, ServiceRecord, StepRecord, WorkflowRecord } from '../build.ts';
import { duration, size } from './format.ts';
import { paint, type Style, visible } from './paint.ts';
import { whySkipped } from './skipped.ts';

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
    if (workflows.length > 1)
      yield* lines('', workflow, spent(workflow, whySkipped(workflow, workflow)), 'bold');
    for (const service of workflow.services ?? [])
      yield* lines(indent, named(service), spent(service, undefined));
    for (const step of workflow.steps) {
      const ignored = step.status === 'failed' && workflow.status === 'passed' ? ', ignored' : '';
      yield* lines(indent, step, spent(step, whySkipped(step, workflow)) + ignored);
    }
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

const columns = 80;

/**
 * Mark, name, and how long it took; where it is no chain, what it waited for, which has lines of its own when there is
 * no room for it beside the rest.
 */
function* lines(indent: string, shown: Shown, note: string, style?: Style): Generator<string> {
  const [mark, colour] = marks[shown.status];
  const name = visible(shown.name).padEnd(28 - indent.length);
  const start = `${indent}${paint(colour, mark)} ${style ? paint(style, name) : name}`;
  const after = ('dependsOn' in shown && shown.dependsOn) || [];
  const beside = `${note.padEnd(10)}  after ${visible(after.join(', '))}`;
  const room = columns - indent.length - 3 - name.length;
  if (after.length > 0 && beside.length <= room) {
    yield `${start} ${paint('dim', beside)}`;
    return;
  }
  yield `${start} ${paint('dim', note)}`;
  const margin = `${indent}    `;
  for (const row of wrapped(after, columns - margin.length)) yield paint('dim', `${margin}${row}`);
}

/** `after a, b, …` in rows of a width, names kept whole. */
function wrapped(names: readonly string[], width: number): string[] {
  const rows: string[] = [];
  for (const [i, name] of names.entries()) {
    const word = `${visible(name)}${i < names.length - 1 ? ',' : ''}`;
    const last = rows.at(-1);
    if (last === undefined) rows.push(`after ${word}`);
    else if (last.length + 1 + word.length > width) rows.push(`      ${word}`);
    else rows[rows.length - 1] = `${last} ${word}`;
  }
  return rows;
}

function spent({ status, startedAt, finishedAt }: Shown, why: string | undefined): string {
  if (status === 'skipped') return why === undefined ? 'skipped' : `skipped: ${visible(why)}`;
  return startedAt && finishedAt ? duration(Date.parse(finishedAt) - Date.parse(startedAt)) : '';
}
