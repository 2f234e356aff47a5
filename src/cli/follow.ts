import type { BuildRecord } from '../build.ts';
import type { Client } from '../client.ts';
import type { BuildEvent } from '../client/follow.ts';
import { createEvents } from './events.ts';
import { exitCode, statusCode } from './exit.ts';
import { choiceNow, choiceWhenPlanned, type LogChoice } from './log-choice.ts';
import { createOutput } from './output.ts';
import { createScreen } from './screen.ts';
import { labelOf } from '../logs/label.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What of a build is shown, and how. */
interface Shown {
  readonly json?: boolean;
  /** Of the log only what these steps and services wrote; none: all of it (src/cli/log-choice.ts). */
  readonly steps?: readonly string[];
}

/**
 * Shows a build as `cofferdam run` does until it ends; returns the exit code of its status. A signal detaches: the
 * build goes on. Throws UsageError for steps that it does not have.
 */
export async function followToEnd(
  client: Client,
  id: string,
  { json = false, steps = [] }: Shown = {},
): Promise<number> {
  const output = createOutput();
  let tell = createScreen(output).progress;
  const detached = new AbortController();
  const detach = () => detached.abort();
  for (const signal of signals) process.on(signal, detach);
  const waiting = tellWhyItWaits(client, id, (line) => tell(line));
  try {
    const choice = steps.length > 0 ? await choiceWhenPlanned(client, id, steps, detached.signal) : undefined;
    const screen = json ? createEvents(output) : createScreen(output, choice?.alone ? 'alone' : 'sections');
    tell = screen.progress;
    const show = shower(screen, choice);
    for await (const event of client.follow(id, detached.signal)) {
      if (event.type === 'status') waiting.see(event.status);
      if (event.type !== 'end') await show(event);
      else {
        await showEnd(event.record, screen, json, choice);
        return statusCode[event.record.status];
      }
    }
    tell(`detached; the build goes on. cofferdam logs -f ${id} shows it, cofferdam cancel ${id} ends it`);
    return exitCode.canceled;
  } finally {
    waiting.stop();
    for (const signal of signals) process.off(signal, detach);
  }
}

/**
 * Shows the log of a build as far as it has come, as followToEnd() does; returns the exit code: 3 if some of it is lost.
 * Throws UsageError for steps that it does not have.
 */
export async function showLog(client: Client, id: string, { steps = [] }: Shown = {}): Promise<number> {
  const choice = steps.length > 0 ? await choiceNow(client, id, steps) : undefined;
  const screen = createScreen(createOutput(), choice?.alone ? 'alone' : 'sections');
  const show = shower(screen, choice);
  let code: number = exitCode.passed;
  for await (const event of client.follow(id, new AbortController().signal, 'now')) {
    if (event.type === 'gap') code = exitCode.errored;
    if (event.type !== 'end') await show(event);
  }
  await screen.logEnds();
  return code;
}

type Screen = ReturnType<typeof createScreen> | ReturnType<typeof createEvents>;

/**
 * Shows events one after another. Steps change on one way and the log comes on another: to a person the log alone says
 * where a step begins, or a header would come before the end of the step before it.
 */
function shower(screen: Screen, choice: LogChoice | undefined) {
  /** Of the log that was shown last. */
  let attempt: number | undefined;
  return async (event: Exclude<BuildEvent, { type: 'end' }>): Promise<void> => {
    switch (event.type) {
      case 'log': {
        const chosen = !choice || choice.has(event);
        if (attempt !== undefined && event.attempt > attempt) {
          await screen.logEnds();
          screen.progress(`attempt ${event.attempt}: the log begins anew`);
        }
        attempt = event.attempt;
        // To a person the log says it itself, in a line that may be of somebody who was not chosen.
        if (event.cutBytes !== undefined && (!('watch' in screen) || !chosen)) {
          await screen.cutEnds(event.cutBytes);
        }
        return chosen ? await screen.chunk(labelOf(event), event.data) : undefined;
      }
      case 'step': {
        const { step, workflow } = event;
        if (choice && !choice.has({ workflow, step: step.name })) return undefined;
        return 'watch' in screen ? screen.watch(step, workflow) : await screen.step(step, workflow);
      }
      case 'service': {
        const { service, workflow } = event;
        if ('watch' in screen || (choice && !choice.has({ workflow, step: `service:${service.name}` })))
          return undefined;
        return await screen.service(service, workflow);
      }
      case 'status':
        return undefined;
      case 'gap':
        screen.warning(event.detail);
        return undefined;
      case 'interrupted':
        screen.progress(`${event.why}; resuming`);
        return undefined;
    }
  };
}

async function showEnd(
  record: BuildRecord,
  screen: Screen,
  json: boolean,
  choice: LogChoice | undefined,
): Promise<void> {
  if (!json) {
    for (const { name, steps } of record.workflows) {
      for (const step of steps) {
        if (choice && !choice.has({ workflow: name, step: step.name })) continue;
        if (step.status !== 'running' && step.status !== 'queued') await screen.step(step, name);
      }
    }
  }
  for (const artifact of record.artifacts) screen.artifact(artifact);
  await screen.end(record, `the archive: cofferdam artifacts get ${record.id}`);
}

const firstAskMs = 1_000;
const askMs = 5_000;

/** Says why a build is queued, when it is so for longer than a moment, and again when the reason changes. */
function tellWhyItWaits(client: Client, id: string, say: (line: string) => void) {
  let timer: NodeJS.Timeout | undefined;
  let last: string | undefined;
  const ask = async () => {
    const build = await client.build(id).catch(() => undefined);
    if (timer === undefined) return;
    if (build?.waiting !== undefined && build.waiting !== last) say(`queued: ${(last = build.waiting)}`);
    timer = setTimeout(() => void ask(), askMs);
  };
  const stop = () => {
    clearTimeout(timer);
    timer = undefined;
  };
  return {
    see: (status: BuildRecord['status']) => {
      if (status !== 'queued') stop();
      else timer ??= setTimeout(() => void ask(), firstAskMs);
    },
    stop,
  };
}
