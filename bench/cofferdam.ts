import { ulid } from 'ulid';
import type { Image } from '../runtime/images/image.ts';
import type { Container, Limits, Sandbox, SandboxDriver, Sink } from '../runtime/sandbox.ts';
import { defaultLimits } from '../src/limits.ts';
import { type Contender, greeter, timeGreeting } from './greeting.ts';

/** What the ephemeral layer lies on; see chooseDisk() of runtime/crun/disk.ts. */
export type DiskKind = 'tmpfs' | 'ext4';

/** The limits of a build that asks for nothing (ext4), and of one that asks for a small disk (tmpfs). */
export const limitsOn: Record<DiskKind, Limits> = {
  ext4: defaultLimits,
  tmpfs: { ...defaultLimits, diskBytes: defaultLimits.memoryBytes / 4 },
};

/** A path that every image has. */
export const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A sandbox with one container; its workspace shows `source`. */
export function openBox(
  driver: SandboxDriver,
  image: Image,
  limits: Limits,
  source?: string,
): { readonly sandbox: Sandbox; readonly container: Container } {
  const sandbox = driver.open({
    id: ulid(),
    limits,
    workspace: { path: '/workspace', sources: source === undefined ? [] : [source], hidden: [] },
  });
  return { sandbox, container: sandbox.start({ name: 'build', root: image.root }) };
}

/** Runs a command to its end. Throws when it fails. */
export async function runIn(
  container: Container,
  args: readonly [string, ...string[]],
  sink: Sink,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { code, reason } = await container.run({ args, env: { PATH: path, ...env }, cwd: '/' }, sink);
  if (code !== 0 || reason !== 'exit') {
    throw new Error(`${args.join(' ')} in a sandbox ended with ${code} (${reason})`);
  }
}

/** Our own sandbox, from open() to the end of destroy(). */
export function cofferdam(driver: SandboxDriver, image: Image, disk: DiskKind): Contender {
  return {
    name: `cofferdam on ${disk}`,
    greet: () =>
      timeGreeting(async (output) => {
        const { sandbox, container } = openBox(driver, image, limitsOn[disk]);
        try {
          await runIn(container, greeter, output);
        } finally {
          await sandbox.destroy();
        }
      }),
    close: async () => {},
  };
}
