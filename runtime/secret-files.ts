import { type Command, SandboxError } from './sandbox.ts';

/** Where a container finds the secrets of its commands. */
export const secretsDirectory = '/run/secrets';

/** What is wrong with the names of a command's secrets: one that leads out of their directory. */
export function secretFileFault({ secrets = {} }: Command): SandboxError | undefined {
  const wrong = Object.keys(secrets).find((name) => !/^[A-Za-z0-9._-]{1,200}$/.test(name));
  return wrong === undefined ? undefined : new SandboxError('run', `not a name of a secret file: ${wrong}`);
}
