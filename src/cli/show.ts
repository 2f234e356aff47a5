import { Command } from 'commander';
import type { AttemptRecord, StepRecord, WorkflowRecord } from '../build.ts';
import type { ShownBuild } from '../client.ts';
import { withService } from './connect.ts';
import { duration, size } from './format.ts';
import { whySkipped } from './skipped.ts';
import { plain, second, table } from './table.ts';
import { triggerInWords } from './trigger.ts';

/** `cofferdam show`: all that is known of a build. */
export function command(): Command {
  return new Command('show')
    .description('Shows a build: its state, why it waits, its attempts, steps and artifacts.')
    .argument('<id>', 'the build; the beginning of its id is enough')
    .option('--json', 'print the record as JSON')
    .action(show);
}

async function show(text: string, { json }: { readonly json?: true }): Promise<void> {
  await withService(async (client) => {
    const build = await client.build(await client.identify(text));
    process.stdout.write(json ? `${JSON.stringify(build)}\n` : describe(build));
  });
}

function describe(build: ShownBuild): string {
  const { source, labels = {} } = build;
  const facts: [string, string | undefined][] = [
    ['id', build.id],
    ['number', build.number === undefined ? undefined : String(build.number)],
    ['status', withReason(build)],
    ['message', build.message],
    ['waits', build.waiting],
    ['project', build.project],
    ['ref', source.ref],
    ['commit', source.sha],
    ['change', build.trigger.commit?.message?.split('\n')[0]],
    ['trigger', triggerInWords(build.trigger)],
    ['trust', build.trust],
    ['retry of', build.retryOf],
    ['approved', build.approved && `by ${build.approved.by}, ${second(build.approved.at)}`],
    ['forge', build.unreported],
    ['priority', build.priority === undefined || build.priority === 5 ? undefined : String(build.priority)],
    ['group', build.group],
    [
      'labels',
      Object.entries(labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(' ') || undefined,
    ],
    ['not before', build.notBefore && second(build.notBefore)],
    ['created', second(build.createdAt)],
    ['started', build.startedAt && second(build.startedAt)],
    ['finished', build.finishedAt && second(build.finishedAt)],
    [
      'log',
      build.log.bytes > 0 ? `${size(build.log.bytes)}${build.log.truncated ? ', cut' : ''}` : undefined,
    ],
  ];
  const known = facts.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name.padEnd(12)}${plain(value)}\n`],
  );
  return [
    ...known,
    ...workflowSections(build.workflows),
    ...section(['ATTEMPT', 'WORKER', 'STARTED', 'TOOK', 'ENDED'], (build.attempts ?? []).map(attemptRow)),
    ...section(
      ['ARTIFACT', 'SIZE', 'SHA-256'],
      build.artifacts.map(({ path, size: bytes, sha256 }) => [plain(path), size(bytes), sha256]),
    ),
  ].join('');
}

function section(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return rows.length === 0 ? [] : ['\n', table(header, rows)];
}

/** One table for a single workflow that is a chain of steps; else what each waited for is said too. */
function workflowSections(workflows: ShownBuild['workflows']): string[] {
  return workflows.flatMap((workflow) => {
    const { steps, services = [] } = workflow;
    const isGraph = steps.some(({ dependsOn }) => dependsOn);
    const header = ['STEP', 'STATUS', 'EXIT', 'TOOK', ...(isGraph ? ['AFTER'] : [])];
    const rows = [
      ...services.map((service) => stepRow({ ...service, name: `service:${service.name}` })),
      ...steps.map((step) => [
        ...stepRow(step, whySkipped(step, workflow)),
        ...(isGraph ? [afterOf(step)] : []),
      ]),
    ];
    return [...(workflows.length > 1 ? [headingOf(workflow)] : []), ...section(header, rows)];
  });
}

function afterOf({ dependsOn = [] }: StepRecord): string {
  return dependsOn.length === 0 ? '-' : plain(dependsOn.join(', '));
}

function headingOf(workflow: WorkflowRecord): string {
  const { name, dependsOn = [] } = workflow;
  const state = `${withReason(workflow)}${asOf(whySkipped(workflow, workflow))}`;
  const spent = took(workflow) === '-' ? '' : `, ${took(workflow)}`;
  const after = dependsOn.length === 0 ? '' : ` (after ${plain(dependsOn.join(', '))})`;
  return `\n${plain(name)}: ${state}${spent}${after}\n`;
}

function asOf(why: string | undefined): string {
  return why === undefined ? '' : `, as ${plain(why)}`;
}

function stepRow(step: StepRecord, why?: string): string[] {
  return [
    plain(step.name),
    `${withReason(step)}${asOf(why)}`,
    step.exitCode === undefined ? '-' : String(step.exitCode),
    took(step),
  ];
}

function attemptRow(attempt: AttemptRecord): string[] {
  const ended = attempt.status
    ? withReason({ ...attempt, status: attempt.status })
    : attempt.finishedAt
      ? 'given back'
      : '-';
  const why = attempt.message ? `: ${plain(attempt.message)}` : '';
  return [
    String(attempt.attempt),
    plain(attempt.worker),
    second(attempt.startedAt),
    took(attempt),
    `${ended}${why}`,
  ];
}

function withReason({ status, reason }: { readonly status: string; readonly reason?: string }): string {
  const shown = status.replace('_', ' ');
  return reason === undefined || ['exit', 'timeout', 'canceled'].includes(reason)
    ? shown
    : `${shown} (${reason})`;
}

function took({
  startedAt,
  finishedAt,
}: {
  readonly startedAt?: string;
  readonly finishedAt?: string;
}): string {
  return startedAt && finishedAt ? duration(Date.parse(finishedAt) - Date.parse(startedAt)) : '-';
}
