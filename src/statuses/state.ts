import type { BuildRecord, Status } from '../build.ts';
import type { BuildSpec, GitSource } from '../spec.ts';
import type { CommitStatus } from '../triggers/forge.ts';
import { contextOf } from './context.ts';

/** Whether nothing follows this state. */
export function isFinal(status: Status): boolean {
  return rankOf(status) === 2;
}

/** Whether a forge that accepted one state is to be told another: forwards only, as attempts of a build come and go. */
export function isFurther(status: Status, accepted: Status | undefined): boolean {
  return accepted === undefined || rankOf(status) > rankOf(accepted);
}

function rankOf(status: Status): 0 | 1 | 2 {
  if (status === 'queued') return 0;
  return status === 'running' ? 1 : 2;
}

/** What a forge is told of a build. Undefined: nobody knows yet which commit it is of. */
export function statusOf(
  record: BuildRecord,
  { trigger, hold }: Pick<BuildSpec, 'trigger' | 'hold'>,
  source: GitSource,
  publicUrl: string,
): CommitStatus | undefined {
  const sha = source.sha ?? record.source.sha;
  if (sha === undefined) return undefined;
  const waits = record.status === 'queued' && hold && !record.approved;
  return {
    sha,
    ...(source.ref !== undefined && { ref: source.ref }),
    state: record.status,
    context: contextOf(trigger),
    description: oneLine(`#${record.number ?? '?'} ${waits ? 'waits for approval' : describe(record)}`),
    url: pageOf(record.id, publicUrl),
  };
}

/** What people look at who want to know of a build. */
export function pageOf(id: string, publicUrl: string): string {
  return `${publicUrl}/v1/builds/${id}/logs`;
}

function describe({ status, reason, message, startedAt, finishedAt }: BuildRecord): string {
  const because = message === undefined ? '' : `: ${message}`;
  if (status === 'errored') return `could not be built (${reason})${because}`;
  if (status === 'canceled') return `was canceled${because}`;
  if (status === 'queued') return 'is queued';
  if (status === 'running') return 'is running';
  const why = status === 'failed' && reason !== undefined && reason !== 'exit' ? ` (${reason})` : '';
  const seconds = (Date.parse(finishedAt ?? '') - Date.parse(startedAt ?? '')) / 1000;
  const took = Number.isFinite(seconds) ? ` after ${Math.round(seconds)} s` : '';
  return `${status.replace('_', ' ')}${why}${took}`;
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\s]+/gu, ' ').trim();
}
