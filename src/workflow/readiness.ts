import { listOf } from './container.ts';
import type { Reading } from './finding.ts';
import type { Readiness } from './plan.ts';
import type { ServiceFile } from './schema.ts';
import { readTimeout } from './timeout.ts';

const defaultDeadlineMs = 60_000;

/** When a service is ready. `commandText` fills variables into a command for a shell. */
export function readReadiness(
  ready: ServiceFile['ready'],
  path: readonly string[],
  commandText: (command: string) => string,
  reading: Reading,
): Readiness {
  if (ready === undefined) return { kind: 'image', deadlineMs: defaultDeadlineMs };
  if (typeof ready === 'string') return { kind: ready, deadlineMs: defaultDeadlineMs };
  const { command, tcp, http, log, timeout } = ready;
  const deadlineMs =
    timeout === undefined ? defaultDeadlineMs : readTimeout(timeout, [...path, 'timeout'], reading);
  const [, second] = (['command', 'tcp', 'http', 'log'] as const).filter((key) => ready[key] !== undefined);
  if (second !== undefined) {
    const message = 'a service is ready in one way';
    reading.report({
      path: [...path, second],
      part: 'key',
      message,
      hint: 'keep one of command, tcp, http and log',
    });
  }
  if (command !== undefined) return { kind: 'command', args: argsOf(command, commandText), deadlineMs };
  if (tcp !== undefined) return { kind: 'tcp', port: tcp, deadlineMs };
  if (http !== undefined) return { ...readHttp(http, [...path, 'http'], reading), deadlineMs };
  if (log !== undefined) return { kind: 'log', text: log, deadlineMs };
  return { kind: 'image', deadlineMs };
}

/** Text is for a shell, a list is a program and its arguments. */
function argsOf(
  command: string | readonly string[],
  commandText: (command: string) => string,
): readonly [string, ...string[]] {
  if (typeof command === 'string') return ['/bin/sh', '-c', commandText(command)];
  const [program = '', ...args] = listOf(command)?.map(commandText) ?? [];
  return [program, ...args];
}

function readHttp(
  http: string | number,
  path: readonly string[],
  { report }: Reading,
): { readonly kind: 'http'; readonly port: number; readonly path: string } {
  const [, port = '', rest = '/'] = /^(?:http:\/\/localhost)?:?(\d+)(\/.*)?$/.exec(String(http)) ?? [];
  if (Number(port) > 65_535) report({ path, part: 'value', message: `a port is 1 to 65535, not ${port}` });
  return { kind: 'http', port: Number(port), path: rest };
}
