import type { Trigger } from '../trigger.ts';

/** The name under which a forge shows the state of a build, among the verdicts of others on the same commit. */
export function contextOf(trigger: Trigger): string {
  if (trigger.kind === 'cron') return `cofferdam/cron/${trigger.name}`;
  return `cofferdam/${trigger.kind === 'pull_request' ? 'pr' : trigger.kind}`;
}
