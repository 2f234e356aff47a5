import { once } from 'node:events';
import { join } from 'node:path';
import { start } from '../../../runtime/command.ts';
import { publicUrlOf } from '../../../src/api/public-url.ts';
import type { TestService } from '../api/service.ts';

/** The command's file, for node. */
export const main = join(import.meta.dirname, '../../../bin/main.ts');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that talks to a service; `input` is on its stdin. */
export type RunCommand = (args: readonly string[], input?: string | Buffer) => Promise<Ended>;

/** What makes the command an admin of a service that listens. */
export function commandEnvironment({ app, bearer, directory }: TestService): NodeJS.ProcessEnv {
  return {
    ...process.env,
    COFFERDAM_DATA: directory,
    COFFERDAM_URL: publicUrlOf(app.server.address()),
    COFFERDAM_TOKEN: bearer.admin.replace('Bearer ', ''),
  };
}

/** The command, for a service that listens from now on. */
export async function commandFor(service: TestService): Promise<RunCommand> {
  await service.listen();
  return async (args, input = '') => {
    const child = start(
      { file: process.execPath, args: [main, ...args], env: commandEnvironment(service) },
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    const output = { stdout: '', stderr: '' };
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
    // What does not read its stdin may be gone before it is written.
    child.stdin?.on('error', () => {}).end(input);
    await once(child, 'close');
    return { code: child.exitCode, ...output };
  };
}
