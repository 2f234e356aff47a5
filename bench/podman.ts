import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError, run, type ToolCommand } from '../runtime/command.ts';
import { type Contender, greeter, runPrinting, timeGreeting } from './greeting.ts';
import type { Site } from './site.ts';

/** podman raises both as far as it can; without CAP_SYS_RESOURCE that fails. */
const ulimits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];

/** `podman run --rm` without network, on a storage of its own. Undefined when podman is not installed. */
export async function openPodman({ scratch, root }: Site): Promise<Contender | undefined> {
  const directory = join(scratch, 'podman');
  const podman = (...args: readonly string[]): ToolCommand => ({
    file: 'podman',
    args: [
      [
        '--root',
        join(directory, 'root'),
        '--runroot',
        join(directory, 'run'),
        '--tmpdir',
        join(directory, 'tmp'),
      ],
      ['--storage-driver', 'overlay', '--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
      args,
    ].flat(),
  });
  try {
    await run({ file: 'podman', args: ['--version'] });
  } catch (error) {
    if (error instanceof CommandError && error.kind === 'missing') return undefined;
    throw error;
  }
  await mkdir(directory, { recursive: true });
  const archive = join(directory, 'root.tar');
  await run({ file: 'tar', args: ['-C', root, '-cf', archive, '.'] });
  await run(podman('import', '--quiet', archive, 'cofferdam-bench'));
  await rm(archive);

  return {
    name: 'podman run',
    greet: () =>
      timeGreeting((output) =>
        runPrinting(
          podman('run', '--rm', '--network', 'none', ...ulimits, 'cofferdam-bench', ...greeter),
          output,
        ),
      ),
    close: async () => {
      await run(podman('rmi', '--all', '--force'));
      await rm(directory, { recursive: true, force: true });
    },
  };
}
