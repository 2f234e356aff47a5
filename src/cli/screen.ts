import type { BuildRecord, ServiceRecord, StepRecord, WorkflowRecord } from '../build.ts';
import { labelOf, originOf } from '../logs/label.ts';
import { createLines } from './lines.ts';
import type { Output } from './output.ts';
import { paint, visible } from './paint.ts';
import { summary } from './summary.ts';

/**
 * `sections`: the log byte for byte, with a header where another step begins. `lines`: several write at the same time,
 * and each line of the log says whose it is. `alone`: there is one to show, byte for byte and without a header, whatever
 * else the build does.
 */
type Form = 'sections' | 'lines' | 'alone';

/**
 * Shows a build to a person: the log on stdout as it came, everything else on stderr.
 * @param form to begin with; `sections` become `lines` at the first sign that things run side by side
 */
export function createScreen(output: Output, form: Form = 'sections') {
  const lines = createLines();
  const workflows = new Set<string>();
  let now = form;
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
  const nameOf = (label: string): string => {
    const { workflow, step } = originOf(label);
    return workflow === undefined || workflows.size < 2 ? step : `${workflow}/${step}`;
  };
  const header = (label: string) => {
    shown = label;
    const name = nameOf(label);
    const rule = '─'.repeat(Math.max(3, 60 - name.length));
    return say(`${paint(['bold', 'cyan'], `── ${name} `)}${paint('dim', rule)}`);
  };
  const showLines = (label: string, whole: readonly Buffer[]): Promise<void> => {
    const prefix = Buffer.from(`${visible(nameOf(label))} | `);
    const text = Buffer.concat(whole.flatMap((line) => [prefix, line]));
    return whole.length === 0 ? Promise.resolve() : output.out(text);
  };
  const showRest = async (label?: string): Promise<void> => {
    await Promise.all(lines.rest(label).map((rest) => showLines(rest.label, [rest.line])));
  };
  const become = (next: Form): void => {
    if (now === next || now === 'alone') return;
    now = next;
    if (logOpen) void output.out('\n');
    lineOpen = logOpen = false;
  };
  const look = (workflow: string | undefined, step?: StepRecord): void => {
    if (workflow !== undefined) workflows.add(workflow);
    if (workflows.size > 1 || step?.dependsOn) become('lines');
  };
  const tellEnd = async (
    name: string,
    ended: StepRecord | ServiceRecord,
    how = ending(ended),
  ): Promise<void> => {
    if (ended.status === 'passed' || ended.status === 'skipped') return;
    await say(paint('red', `${name}: ${how}`));
  };

  return {
    progress: (message: string) => void say(paint('dim', message)),
    warning: (message: string) => void say(paint('yellow', `warning: ${message}`)),
    workflow: ({ name, status, steps, services }: WorkflowRecord) => {
      if (status === 'skipped') return;
      look(name, steps[0]);
      if (services) become('lines');
    },
    /** A step of which the log tells in time when it begins and ends. */
    watch: (step: StepRecord, workflow: string) => look(workflow, step),
    step: async (step: StepRecord, workflow?: string) => {
      const label = labelOf({ step: step.name, ...(workflow !== undefined && { workflow }) });
      look(workflow, step);
      if (step.status !== 'running') {
        const rest = showRest(label);
        await Promise.all([rest, tellEnd(nameOf(label), step)]);
      } else if (now === 'sections') await header(label);
    },
    service: async (service: ServiceRecord, workflow: string) => {
      const label = labelOf({ workflow, step: `service:${service.name}` });
      if (service.status === 'running') return;
      const rest = showRest(label);
      const late = service.reason === 'timeout' && 'it was not ready in time';
      await Promise.all([rest, tellEnd(nameOf(label), service, late || undefined)]);
    },
    chunk: async (label: string, chunk: Buffer) => {
      const { workflow, step } = originOf(label);
      look(workflow);
      if (step.startsWith('service:')) become('lines');
      if (now === 'lines') return await showLines(label, lines.add(label, chunk));
      if (now === 'sections' && label !== shown) void header(label);
      lineOpen = logOpen = chunk.at(-1) !== 10;
      await output.out(chunk);
    },
    cutBegins: () => say(paint('yellow', 'the log is long: the last part of it follows when the build ends')),
    cutEnds: async (cutBytes: number) => {
      const rest = showRest();
      const before = logOpen ? '\n' : '';
      lineOpen = logOpen = false;
      await Promise.all([
        rest,
        output.out(`${before}[cofferdam: ${cutBytes} bytes of the log were cut here]\n`),
      ]);
    },
    logEnds: () => showRest(),
    artifact: () => {},
    end: async (record: BuildRecord, keptIn: string | undefined) => {
      await showRest();
      for (const line of summary(record, keptIn)) await say(line);
    },
  };
}

function ending({ status, reason, exitCode }: StepRecord | ServiceRecord): string {
  const why: Partial<Record<NonNullable<StepRecord['reason']>, string>> = {
    oom: 'it ran out of memory; raise resources.memory, or use less',
    disk: 'its disk is full; raise resources.disk, or write less',
    pids: 'it reached the limit of processes; raise resources.pids, or start fewer',
    timeout: 'it took longer than its timeout',
  };
  if (status === 'failed') return (reason && why[reason]) ?? `exit code ${exitCode}`;
  if (status === 'canceled' && reason === 'service') return 'stopped, as a service is gone';
  return status.replace('_', ' ');
}
