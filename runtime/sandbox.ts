/**
 * The seam between "what a build is" and "how it is isolated".
 *
 * Lifecycle of one build:
 *
 *   open(spec)            one ephemeral layer of hard size, one workspace, one set of limits
 *     .start(container)   a container: image layers below, the ephemeral layer above; zero or more
 *        .run(command)    commands one after another or side by side in that container
 *        .signal()        to every process of the container
 *        .kill()          the container and all its processes; its files stay until destroy()
 *     .answers(probe)     something that runs in a container listens
 *     .list()/.read()     files of the workspace, by a trusted reader without network, after the kill
 *     .snapshot()         a volume as it is now, by the same, into a directory of the host
 *     .usage()            what the kernel counted
 *     .destroy()          everything goes; resolves when nothing is left
 *
 * Rules every implementation keeps (test/runtime/contract.ts runs on all of them):
 * - open() and start() do not wait: work is queued in order, and whatever goes wrong there rejects the
 *   next call that waits (run, list, read, usage) with a SandboxError.
 * - A command that fails is a value (Exit), never an exception. Only platform trouble throws.
 * - Output of a command reaches its sink complete and in order before run() resolves. A sink that returns a
 *   promise is waited for: a slow reader slows the build and loses nothing.
 * - destroy() may be called at any time, any number of times, also after a failed open().
 * - If this process dies by SIGKILL, the kernel does what destroy() would have done.
 */

/** Hard limits of one build. */
export interface Limits {
  /** CPU time per wall time; 1.5 is one and a half processors. */
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Size of everything the build writes, workspace included. */
  readonly diskBytes: number;
  /** Files and directories the build may create. */
  readonly diskInodes: number;
  /** Processes and threads at one time. */
  readonly pids: number;
  /** RLIMIT_NOFILE of each process; lowered to the hard limit of this process where that is less. */
  readonly openFiles: number;
}

/** The directory that all containers of a build share. */
export interface Workspace {
  /** Where containers see it: absolute, normalised, not `/`. */
  readonly path: string;
  /**
   * Directories of the host, at most 64 and of one owner: read-only layers, bottom first, in overlayfs form (char 0/0
   * whiteouts). None: an empty workspace.
   */
  readonly sources: readonly string[];
  /** Files locked shared (flock) while the sandbox lives, so that the sources are not removed. */
  readonly locks?: readonly string[];
  /** Paths below the sources, relative, that containers do not see. */
  readonly hidden: readonly string[];
}

/** What a build can reach beside itself; see docs/security.md. */
export type Network =
  | { readonly kind: 'none' }
  /** The internet, but nothing of this machine, and nothing private. `otherwise`: where the machine cannot do that. */
  | { readonly kind: 'egress'; readonly otherwise?: 'none' }
  /**
   * Servers by their names alone, over HTTP and TLS: `name`, `*.name` for any name below, with `:port` for another port
   * than 80 and 443. Names are compared without regard to case.
   */
  | { readonly kind: 'allow'; readonly hosts: readonly string[] };

/** A directory beside the workspace that all containers of a build share. */
export interface Volume {
  /**
   * Where containers see it: absolute, normalised, below the workspace or outside of it. What an image or the source has
   * there is hidden, and so is a link of theirs on the way.
   */
  readonly path: string;
  /**
   * Absolute directories of the host, at most 64: read-only layers, bottom first, in overlayfs form, of owners up to
   * 65535. None: it is empty, and all users may write to it.
   */
  readonly layers: readonly string[];
  /** A file locked shared (flock) while the sandbox lives, so that the layers are not removed. */
  readonly lock?: string;
}

/** What became of a snapshot of a volume. */
export type Snapshot =
  /**
   * `bytes`: of files, holes included; `entries`: files, directories and symlinks. `listing`: all of the copy, its root as
   * well, as find(1) has it by `-printf '%y %s %U %G %m %T@ %P\0'`, in no order.
   */
  | {
      readonly kind: 'copied';
      readonly files: number;
      readonly bytes: number;
      readonly entries: number;
      readonly listing: Buffer;
    }
  /** Nobody wrote to the volume: nothing was copied. */
  | { readonly kind: 'unchanged' }
  /** There is more than was allowed; what was copied until then is still there. */
  | { readonly kind: 'too-large' };

export interface SandboxSpec {
  /** Unique among running builds; `[a-zA-Z0-9-]{1,64}`. */
  readonly id: string;
  readonly limits: Limits;
  readonly workspace: Workspace;
  /** At most 64; none of them holds another or the workspace. */
  readonly volumes?: readonly Volume[];
  /** Default: none. Where the machine cannot do it, the sandbox fails. */
  readonly network?: Network;
  /** Takes lines for the build's log, such as which host was denied; without line end. */
  readonly notice?: (line: string) => void;
}

/** The read-only root of a container, as the image store hands it out. */
export interface RootLayers {
  /** Absolute directories, bottom first, in overlayfs form (char 0/0 whiteouts, trusted.overlay.opaque). */
  readonly layers: readonly string[];
  /** A file locked shared (flock) while the sandbox lives, so that the layers are not removed. */
  readonly lock: string;
}

export interface ContainerSpec {
  /** Unique within the sandbox; `[a-z0-9-]{1,32}`. */
  readonly name: string;
  readonly root: RootLayers;
  /** Addresses of further host names, for its /etc/hosts. */
  readonly hosts?: Readonly<Record<string, string>>;
}

export interface Command {
  /** argv; argv[0] is looked up in PATH of env, inside the container. */
  readonly args: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute, inside the container. */
  readonly cwd: string;
  /**
   * Contents of files in /run/secrets, by name (`[A-Za-z0-9._-]{1,200}`): in memory, mode 0400, seen by this container
   * alone and gone with it. No two commands of a container have one of the same name.
   */
  readonly secrets?: Readonly<Record<string, string>>;
  /** `name`, `uid`, `name:group` or `uid:gid`, as in an image's USER; resolved in the container. Default root. */
  readonly user?: string;
}

/**
 * Why a command ended. `code` is its exit code, 128+n when signal n ended it, 126 or 127 when it could not be
 * started. The other reasons come from the kernel's counters and stand whatever the code says.
 */
export interface Exit {
  readonly reason: 'exit' | 'oom' | 'pids' | 'disk';
  readonly code: number;
}

/** Takes output as it comes: stdout and stderr in the order they were written. */
export type Sink = (chunk: Buffer) => void | Promise<void>;

export type Signal = 'SIGTERM' | 'SIGINT' | 'SIGKILL';

export interface Container {
  /** Runs a command to its end. Rejects with SandboxError when the sandbox or the container is gone. */
  run(command: Command, sink: Sink): Promise<Exit>;
  /** To every process of the container; or to those of one command that runs in it, if they stayed in its session. */
  signal(signal: Signal, command?: Command): void;
  kill(): void;
}

/** One regular file of the workspace. Symlinks, FIFOs, sockets and devices never appear. */
export interface WorkspaceFile {
  /** Relative to the workspace, `/`-separated, never absolute, never with `..`. */
  readonly path: string;
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
}

export interface Usage {
  readonly cpuSeconds: number;
  readonly memoryPeakBytes: number;
  readonly diskPeakBytes: number;
}

/** Something that listens in the network of the sandbox; `path` begins with `/`. */
export type Probe =
  | { readonly kind: 'tcp'; readonly port: number }
  /** It answers GET with 2xx or 3xx. */
  | { readonly kind: 'http'; readonly port: number; readonly path: string };

export interface Sandbox {
  start(spec: ContainerSpec): Container;
  /**
   * Resolves when something answers on localhost, which needs nothing of any image; asks again and again until then, or
   * until the signal aborts, whose reason it rejects with.
   */
  answers(probe: Probe, signal: AbortSignal): Promise<void>;
  /** Regular files below the given directories of the workspace (`''` is all of it), at most `limit`. */
  list(directories: readonly string[], limit: number): Promise<WorkspaceFile[]>;
  /** Content of files that list() named, one after another; a file that changed or went away is an error. */
  read(files: readonly WorkspaceFile[], sink: FileSink): Promise<void>;
  /**
   * Copies a volume into an empty directory of the host, with owners as the build saw them; once for each volume. Left
   * out are devices, sockets, FIFOs and extended attributes.
   */
  snapshot(path: string, directory: string, most: SnapshotBounds): Promise<Snapshot>;
  usage(): Promise<Usage>;
  destroy(): Promise<void>;
}

/** Receives the files of read() in order. */
export interface FileSink {
  begin(file: WorkspaceFile): void | Promise<void>;
  data(chunk: Buffer): void | Promise<void>;
  end(): void | Promise<void>;
}

/** What a snapshot may come to; counted as in Snapshot. */
export interface SnapshotBounds {
  readonly bytes: number;
  readonly entries: number;
}

/** Opens sandboxes. A driver is a function that returns one of these. */
export interface SandboxDriver {
  open(spec: SandboxSpec): Sandbox;
}

/** The platform failed, not the build: the outcome is `errored`. */
export class SandboxError extends Error {
  override readonly name = 'SandboxError';
  /** The phase that failed. */
  readonly phase: 'open' | 'start' | 'run' | 'collect' | 'destroy';

  constructor(phase: SandboxError['phase'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.phase = phase;
  }
}
