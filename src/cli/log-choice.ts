import type { BuildRecord } from '../build.ts';
import type { Client, ShownBuild } from '../client.ts';
import type { Origin } from '../logs/label.ts';
import { UsageError } from '../usage.ts';
import { visible } from './paint.ts';

/** The part of a log that was asked for, by who wrote it. */
export interface LogChoice {
  readonly has: (origin: Origin) => boolean;
  /** Nothing but the output of one step or service: nobody needs to be told whose it is. */
  readonly alone: boolean;
}

const mostNamed = 40;

/**
 * Chooses by names, each that of a step, or `service:NAME`, in all workflows that have it; or the same after `WORKFLOW/`.
 * Throws UsageError for a name that the build does not have, with those that it has.
 */
function choiceOf(
  names: readonly string[],
  { id, workflows }: Pick<BuildRecord, 'id' | 'workflows'>,
): LogChoice {
  const all = workflows.flatMap(({ name: workflow, services = [], steps }) => [
    ...services.map(({ name }) => ({ workflow, step: `service:${name}` })),
    ...steps.map(({ name }) => ({ workflow, step: name })),
  ]);
  const isNamed = (name: string, { workflow, step }: Origin) =>
    name === step || name === `${workflow}/${step}`;
  for (const name of names) {
    if (all.some((origin) => isNamed(name, origin))) continue;
    const known = all.map(({ workflow, step }) => (workflows.length > 1 ? `${workflow}/${step}` : step));
    const more = known.length > mostNamed ? ` and ${known.length - mostNamed} more` : '';
    const has = known.length === 0 ? 'it has none' : `it has ${known.slice(0, mostNamed).join(', ')}${more}`;
    throw new UsageError(visible(`build ${id} has no step '${name}'; ${has}`));
  }
  const chosen = all.filter((origin) => names.some((name) => isNamed(name, origin)));
  return {
    has: (origin) =>
      chosen.some(({ workflow, step }) => workflow === origin.workflow && step === origin.step),
    alone: chosen.length === 1,
  };
}

/** Of a build of which it is known by now what steps it has. Throws UsageError, as choiceOf() does, and when it is not. */
export async function choiceNow(client: Client, id: string, steps: readonly string[]): Promise<LogChoice> {
  const build = await client.build(id);
  if (isPlanned(build)) return choiceOf(steps, build);
  throw new UsageError(`it is not known yet which steps build ${id} has; add --follow to wait for them`);
}

/** Waits until it is known what steps the build has, or it has ended; chooses nothing when `signal` comes before. As choiceOf(). */
export async function choiceWhenPlanned(
  client: Client,
  id: string,
  steps: readonly string[],
  signal: AbortSignal,
): Promise<LogChoice> {
  let build = await client.build(id);
  if (!isPlanned(build)) {
    for await (const { type } of client.follow(id, signal)) {
      if (type === 'step' || type === 'service' || type === 'end') break;
    }
    build = await client.build(id);
  }
  return signal.aborted ? { has: () => false, alone: true } : choiceOf(steps, build);
}

function isPlanned({ workflows, finishedAt }: ShownBuild): boolean {
  return workflows.length > 0 || finishedAt !== undefined;
}
