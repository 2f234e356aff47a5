import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { release } from 'node:os';
import { basename, join } from 'node:path';
import { crunDriver, type CrunOptions, type Overlay } from '../../../runtime/crun/driver.ts';
import { holderFile } from '../../../runtime/host/holder.ts';
import { atLeast } from '../../../runtime/host/version.ts';
import type {
  Command,
  Container,
  Exit,
  Limits,
  RootLayers,
  Sandbox,
  SandboxDriver,
  SandboxSpec,
  Workspace,
} from '../../../runtime/sandbox.ts';
import { debian, layersDir, testData } from '../../rootfs.ts';

const MiB = 1024 ** 2;

/** Small enough for a tmpfs disk (see chooseDisk). */
export const smallLimits: Limits = {
  cpus: 2,
  memoryBytes: 512 * MiB,
  diskBytes: 64 * MiB,
  diskInodes: 10_000,
  pids: 128,
  openFiles: 1024,
};

/** The same build with a disk that is ext4, for it does not fit into a quarter of the memory. */
export const ext4Limits: Limits = { ...smallLimits, memoryBytes: 128 * MiB };

/** The ways to hand over layers that this kernel has. */
export const overlays: readonly Overlay[] = atLeast(release(), '6.5')
  ? ['layerwise', 'classic']
  : ['classic'];

/** A driver with state of its own, which goes at the end with the sandboxes that were opened here. */
export interface Lab extends AsyncDisposable {
  readonly dataDir: string;
  /** A directory of the host to use for sources and canaries. */
  readonly scratch: string;
  readonly driver: SandboxDriver;
  open(options?: {
    limits?: Partial<Limits>;
    workspace?: Partial<Workspace>;
    volumes?: SandboxSpec['volumes'];
    network?: SandboxSpec['network'];
    notice?: SandboxSpec['notice'];
  }): Sandbox;
}

let opened = 0;

export function lab(options: Partial<CrunOptions> = {}): Lab {
  mkdirSync(testData, { recursive: true });
  const dataDir = options.dataDir ?? mkdtempSync(join(testData, 'lab-'));
  const scratch = join(dataDir, 'scratch');
  mkdirSync(scratch, { recursive: true });
  const driver = crunDriver({ layersDir, holder: holderFile, crun: '/usr/bin/crun', ...options, dataDir });
  const sandboxes: Sandbox[] = [];
  return {
    dataDir,
    scratch,
    driver,
    open: ({ limits, workspace, volumes, network, notice } = {}) => {
      const sandbox = driver.open({
        id: `${basename(dataDir)}-${process.pid}-${opened++}`,
        limits: { ...smallLimits, ...limits },
        workspace: { path: '/workspace', sources: [], hidden: [], ...workspace },
        ...(volumes && { volumes }),
        ...(network && { network }),
        ...(notice && { notice }),
      });
      sandboxes.push(sandbox);
      return sandbox;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(sandboxes.map((sandbox) => sandbox.destroy()));
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function shell(script: string, options: Partial<Command> = {}): Command {
  return { args: ['/bin/sh', '-c', script], env: { PATH: path }, cwd: '/workspace', ...options };
}

/** How a command ended and what it printed. */
export interface Told {
  readonly exit: Exit;
  readonly output: string;
}

export async function tell(box: Container, command: Command): Promise<Told> {
  const chunks: Buffer[] = [];
  const exit = await box.run(command, (chunk) => void chunks.push(Buffer.from(chunk)));
  return { exit, output: Buffer.concat(chunks).toString() };
}

/** Starts a container of Debian and runs a shell script in it. */
export function sh(sandbox: Sandbox, script: string, options: Partial<Command> = {}): Promise<Told> {
  return tell(start(sandbox), shell(script, options));
}

let started = 0;

export function start(sandbox: Sandbox, root: RootLayers = debian): Container {
  return sandbox.start({ name: `box-${started++}`, root });
}
