import type { Command, Exit } from '../runtime/sandbox.ts';
import { type Abort, AbortedError } from './abort.ts';
import type { Box } from './containers.ts';
import type { MaskedStream } from './log/mask.ts';

/** A command that runs in a container. */
export interface Job {
  /**
   * Once all its output is through. Rejects with SandboxError, and with AbortedError when the workflow was stopped and
   * killing the container did not end it: crun hangs, and only the end of the sandbox helps.
   */
  readonly exit: Promise<Exit>;
  /** SIGTERM now, SIGKILL after so many milliseconds; nothing else in a shared container is touched. */
  stop(graceMs: number): void;
}

/** How long what ran beside the steps may take to end after SIGTERM, in milliseconds: nobody waits for what it does. */
export const besideGraceMs = 2_000;

/** After SIGKILL a container is gone within milliseconds, if it ever began. */
const killedMs = 2_000;

/** Starts a command; one that comes when the workflow is being stopped already hears of it too. */
export function startJob({ container, use }: Box, command: Command, output: MaskedStream, abort: Abort): Job {
  const stuck = Promise.withResolvers<never>();
  let patience: NodeJS.Timeout | undefined;
  let grace: NodeJS.Timeout | undefined;

  const terminate = () => container.signal('SIGTERM', use === 'own' ? undefined : command);
  const kill = () => (use === 'own' ? container.kill() : container.signal('SIGKILL', command));
  const loseHope = () => {
    const error = new AbortedError('killing its container did not end it');
    patience = setTimeout(() => stuck.reject(error), killedMs);
  };

  const run = async (): Promise<Exit> => {
    abort.killed.addEventListener('abort', loseHope);
    try {
      const exit = container.run(command, output.write);
      if (abort.stopping.aborted) terminate();
      if (abort.killed.aborted) {
        container.kill();
        loseHope();
      }
      return await Promise.race([exit, stuck.promise]);
    } finally {
      clearTimeout(patience);
      clearTimeout(grace);
      abort.killed.removeEventListener('abort', loseHope);
      await output.end();
    }
  };
  return {
    exit: run(),
    stop: (graceMs) => {
      terminate();
      grace = setTimeout(kill, graceMs);
    },
  };
}
