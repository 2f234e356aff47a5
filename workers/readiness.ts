import { setTimeout as sleep } from 'node:timers/promises';
import type { Command, Sandbox } from '../runtime/sandbox.ts';
import type { Readiness } from '../src/workflow/plan.ts';
import type { Box } from './containers.ts';
import { createLastLines } from './log/last-lines.ts';
import { withoutTraces } from './traces.ts';

/** A service that has been started. */
export interface Started {
  readonly sandbox: Sandbox;
  readonly box: Box;
  /** What runs in the box. */
  readonly command: Command;
  /** What the log shows of its commands before they run; none when it has no commands. */
  readonly traces: readonly string[];
  /** Calls back with its output from now on; returns what ends that. */
  readonly listen: (listener: (chunk: Buffer) => void) => () => void;
}

/** Between two looks at a service by a command. */
const restMs = 100;
const commandTimeoutMs = 30_000;

/**
 * Resolves when the service is ready; rejects with the signal's reason when that aborts first, and with SandboxError.
 * `said` is told what the last look that failed had to say.
 */
export async function becomeReady(
  readiness: Readiness,
  started: Started,
  said: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { sandbox, box } = started;
  switch (readiness.kind) {
    case 'none':
      return;
    case 'image': {
      const { healthcheck } = box.image.config;
      if (healthcheck) await untilPassed(healthcheck.args, healthcheck.timeoutMs, started, said, signal);
      return;
    }
    case 'command':
      return await untilPassed(readiness.args, commandTimeoutMs, started, said, signal);
    case 'tcp':
    case 'http':
      return await sandbox.answers(readiness, signal);
    case 'log':
      return await untilWritten(readiness.text, started, signal);
  }
}

async function untilPassed(
  args: Command['args'],
  timeoutMs: number,
  { box: { container }, command: { env, cwd, user } }: Started,
  said: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const look: Command = { args, env, cwd, ...(user !== undefined && { user }) };
    const lines = createLastLines(1);
    const timer = setTimeout(() => container.signal('SIGKILL', look), timeoutMs);
    try {
      const { code } = await container.run(look, lines.add);
      if (code === 0) return;
      said(`${args.join(' ')} exited with ${code}: ${lines.text().toString().trim()}`.replace(/: $/, ''));
    } finally {
      clearTimeout(timer);
    }
    await sleep(restMs, undefined, { signal });
  }
}

function untilWritten(text: string, { listen, traces }: Started, signal: AbortSignal): Promise<void> {
  const wanted = Buffer.from(text);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let before: Buffer = Buffer.alloc(0);
  const look = (chunk: Buffer) => {
    const all = Buffer.concat([before, chunk]);
    if (all.includes(wanted)) resolve();
    before = Buffer.from(all.subarray(Math.max(0, all.length - wanted.length + 1)));
  };
  // `echo ready` is not ready when it is shown.
  const unlisten = listen(withoutTraces(traces, look));
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  return promise.finally(() => {
    unlisten();
    signal.removeEventListener('abort', onAbort);
  });
}
