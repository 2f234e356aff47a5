import type { BuildRecord } from '../build.ts';
import type { Client } from '../client.ts';
import type { BuildEvent } from '../client/follow.ts';
import { createEvents } from './events.ts';
import { exitCode, statusCode } from './exit.ts';
import { createOutput } from './output.ts';
import { createScreen } from './screen.ts';
import { labelOf } from '../logs/label.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Shows a build as `cofferdam run` does until it ends; returns the exit code of its status. A signal detaches: the
 * build goes on.
 */
export async function followToEnd(client: Client, id: string, json: boolean): Promise<number> {
  const screen = json ? createEvents(createOutput()) : createScreen(createOutput());
  const detached = new AbortController();
  const detach = () => detached.abort();
  for (const signal of signals) process.on(signal, detach);
  const waiting = tellWhyItWaits(client, id, (line) => screen.progress(line));
  try {
    for await (const event of client.follow(id, detached.signal)) {
      if (event.type === 'status') waiting.see(event.status);
      if (event.type !== 'end') await show(event, screen);
      else {
        await showEnd(event.record, screen, json);
        return statusCode[event.record.status];
      }
    }
    screen.progress(
      `detached; the build goes on. cofferdam logs -f ${id} shows it, cofferdam cancel ${id} ends it`,
    );
    return exitCode.canceled;
  } finally {
    waiting.stop();
    for (const signal of signals) process.off(signal, detach);
  }
}

/** Shows the log of a build as far as it has come, as followToEnd() does; returns the exit code: 3 if some of it is lost. */
export async function showLog(client: Client, id: string): Promise<number> {
  const screen = createScreen(createOutput());
  let code: number = exitCode.passed;
  for await (const event of client.follow(id, new AbortController().signal, 'now')) {
    if (event.type === 'gap') code = exitCode.errored;
    if (event.type !== 'end') await show(event, screen);
  }
  await screen.logEnds();
  return code;
}

type Screen = ReturnType<typeof createScreen> | ReturnType<typeof createEvents>;

/**
 * Steps change on one way and the log comes on another: to a person the log alone says where a step begins, or a header
 * would come before the end of the step before it.
 */
async function show(event: Exclude<BuildEvent, { type: 'end' }>, screen: Screen): Promise<void> {
  switch (event.type) {
    case 'log':
      if (event.cutBytes !== undefined) await screen.cutEnds(event.cutBytes);
      return await screen.chunk(labelOf(event), event.data);
    case 'step':
      return 'watch' in screen
        ? screen.watch(event.step, event.workflow)
        : await screen.step(event.step, event.workflow);
    case 'service':
      return 'watch' in screen ? undefined : await screen.service(event.service, event.workflow);
    case 'status':
      if (event.attempt > 1 && event.status === 'running')
        screen.progress(`attempt ${event.attempt}: the log begins anew`);
      return undefined;
    case 'gap':
      screen.warning(event.detail);
      return undefined;
    case 'interrupted':
      screen.progress(`${event.why}; resuming`);
      return undefined;
  }
}

async function showEnd(record: BuildRecord, screen: Screen, json: boolean): Promise<void> {
  if (!json) {
    for (const { name, steps } of record.workflows) {
      for (const step of steps) {
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
