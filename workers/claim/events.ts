import type { BuildRecord, WorkflowRecord } from '../../src/build.ts';
import { labelOf } from '../../src/logs/label.ts';
import type { LogWriter } from '../../src/logs.ts';
import type { BuildPlan } from '../../src/workflow/plan.ts';
import type { BuildEvents } from '../events.ts';
import type { Progress } from './progress.ts';
import { recordOf } from '../workflow.ts';

/** What the build does, for those who follow it: the log, and the record at each change. */
export function claimEvents(
  record: BuildRecord,
  plan: BuildPlan,
  log: LogWriter,
  progress: Progress,
): BuildEvents {
  const startedAt = new Date().toISOString();
  const workflows = new Map<string, WorkflowRecord>(
    plan.workflows.map((each) => [each.name, recordOf(each, 'queued')]),
  );
  const [first] = plan.workflows;
  let label = labelOf({ workflow: first.name, step: first.steps[0].name });
  const say = (text: string, as = label) => log.append(as, Buffer.from(`[cofferdam: ${text}]\n`));
  // A log that cannot take it fails the next append too, which tells.
  const mention = (text: string, as?: string) => void Promise.resolve(say(text, as)).catch(() => {});
  const change = (changed: WorkflowRecord) => {
    workflows.set(changed.name, changed);
    progress.report({ ...record, status: 'running', startedAt, workflows: [...workflows.values()] });
  };
  const changeIn = (name: string, by: (workflow: WorkflowRecord) => WorkflowRecord) => {
    const workflow = workflows.get(name);
    if (workflow) change(by(workflow));
  };
  return {
    progress: (text) => mention(text, labelOf({ step: 'image' })),
    warning: (text) => mention(text),
    workflow: change,
    step: (step, name) =>
      changeIn(name, (workflow) => ({ ...workflow, steps: withChange(workflow.steps, step) })),
    service: (service, name) =>
      changeIn(name, (workflow) => ({ ...workflow, services: withChange(workflow.services ?? [], service) })),
    chunk: (from, chunk) => {
      label = from;
      return log.append(from, chunk);
    },
    cutBegins: () => {},
    cutEnds: (bytes) => {
      log.mark(bytes);
      return say(`${bytes} bytes of the log were cut here`);
    },
    artifact: () => {},
  };
}

function withChange<Named extends { readonly name: string }>(all: readonly Named[], changed: Named): Named[] {
  return all.map((each) => (each.name === changed.name ? changed : each));
}
