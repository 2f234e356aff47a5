import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { Command, Container, Exit, Limits, Sink } from '../sandbox.ts';
import { ImageError } from './image.ts';
import { installOver } from './install.ts';
import { layerDirectory, useLock } from './layout.ts';
import type { Archives } from './package-download.ts';
import { piped } from './piped.ts';
import type { ImageRecord } from './records.ts';
import type { Progress, Store } from './workplace.ts';

const GiB = 1024 ** 3;
/** Installing unpacks, compresses a few files, and builds caches: what a build does, and no more. */
const limits: Omit<Limits, 'cpus'> = {
  memoryBytes: 4 * GiB,
  diskBytes: 20 * GiB,
  diskInodes: 2_000_000,
  pids: 1024,
  openFiles: 65_536,
};

const timeoutMinutes = 60;
/** So many lines of what apt and dpkg say are shown when they fail. */
const keptLines = 40;

/** Where the sandbox sees the archives. */
const workspace = '/packages';

/** Installs archives over an image, in a sandbox without network. Throws ImageError or SandboxError. */
export async function installPackages(
  store: Store,
  work: string,
  base: ImageRecord,
  archives: Archives,
  progress: Progress,
): Promise<ImageRecord> {
  const { layout } = store;
  const sandbox = store.sandboxes().open({
    id: `packages-${randomUUID()}`,
    limits: { ...limits, cpus: availableParallelism() },
    workspace: { path: workspace, sources: [archives.directory], hidden: [] },
  });
  try {
    const root = {
      layers: base.layers.map(({ id }) => layerDirectory(layout, id)),
      lock: useLock(layout, base.digest),
    };
    const container = sandbox.start({ name: 'packages', root });
    progress(`installing ${archives.count} packages`);
    await install(container, archives.count, progress);
    progress('making a layer of them');
    return await piped(
      (take) => pack(container, take),
      (tar) => installOver(store, work, base, tar),
    );
  } finally {
    await sandbox.destroy();
  }
}

async function install(container: Container, count: number, progress: Progress): Promise<void> {
  const deadline = AbortSignal.timeout(timeoutMinutes * 60_000);
  const kill = () => container.kill();
  deadline.addEventListener('abort', kill);
  let lines: string[] = [];
  let rest = '';
  let done = 0;
  let shown = 0;
  const installing = container.run(shell(installScript), (chunk) => {
    const whole = (rest + chunk.toString('utf8')).split('\n');
    rest = (whole.pop() ?? '').slice(-500);
    done += whole.filter((line) => line.startsWith('Setting up ')).length;
    lines = [...lines, ...whole].slice(-keptLines);
    if (done < shown + Math.max(10, count / 10)) return;
    shown = done;
    progress(`${done} of ${count} packages are installed`);
  });
  const exit = await installing.finally(() => deadline.removeEventListener('abort', kill));
  if (exit.reason === 'exit' && exit.code === 0) return;
  for (const line of lines) progress(line);
  const error = /^(?:dpkg: error .*:\n .*|dpkg: error .*|E: .*)$/m.exec(lines.join('\n'))?.[0];
  const why = deadline.aborted ? `not within ${timeoutMinutes} minutes` : error?.replace('\n', '');
  throw new ImageError(`the packages cannot be installed: ${why ?? endOf(exit)}`);
}

async function pack(container: Container, sink: Sink): Promise<void> {
  const exit = await container.run(shell(packScript), sink);
  if (exit.reason === 'exit' && exit.code === 0) return;
  throw new ImageError(`the installed packages cannot be read: ${endOf(exit)}`);
}

function endOf({ reason, code }: Exit): string {
  return reason === 'exit' ? `exit code ${code}` : `they need more of the sandbox's ${reason} than there is`;
}

function shell(script: string): Command {
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LC_ALL: 'C',
    DEBIAN_FRONTEND: 'noninteractive',
  };
  return { args: ['/bin/sh', '-euc', script], env, cwd: workspace };
}

/**
 * Prints time of change and path of everything in the root file system, a line each that NUL ends, and of each such
 * line the path. Not what is the sandbox's, and what mmdebstrap cleans up as well.
 */
const functions = `
  list() {
    skip=
    for path in $(cut -d ' ' -f 5 /proc/self/mountinfo) /run /tmp /var/tmp \\
      /var/cache/apt /var/lib/apt/lists \\
      /var/log/apt /var/log/dpkg.log /var/log/alternatives.log; do
      [ "$path" = / ] || skip="$skip -path $path -prune -o"
    done
    find / -xdev -mindepth 1 $skip -printf '%C@ %P\\0' | sort -z
  }
  paths() { sed -z 's/^[^ ]* //' "$@" | sort -z; }`;

const installScript = `${functions}
  list > before
  # The kernel's clock of files goes by ticks.
  sleep 0.1
  apt-get -q -o APT::Get::Assume-Yes=true -o APT::Install-Recommends=false -o Dpkg::Use-Pty=false \\
    -o Dpkg::Options::=--force-unsafe-io install ./*.deb 2>&1`;

/**
 * A tar of all that is new or changed since: nobody can choose the time that a file has as that of its last change. What
 * is gone gets a whiteout as in layers of OCI images, unless the directory it was in is gone too, or a symlink now.
 */
const packScript = `${functions}
  exec 2>/dev/null
  list > after
  paths before > were
  paths after > are
  comm -z -23 were are | xargs -0 -r sh -euc '
    for path; do
      parent=$(dirname "/$path")
      [ ! -d "$parent" ] || [ "$(realpath "$parent")" != "$parent" ] || : > "$parent/.wh.$(basename "$path")"
    done' sh
  list > after
  comm -z -13 before after | paths > changed
  tar --create --file=- --directory=/ --format=posix --numeric-owner --xattrs --xattrs-include='*' \\
    --no-recursion --null --files-from=changed`;
