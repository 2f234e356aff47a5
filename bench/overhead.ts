import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../runtime/command.ts';
import { type DiskKind, limitsOn, openBox, path, runIn } from './cofferdam.ts';
import type { Row } from './row.ts';
import type { Site } from './site.ts';
import { takeTurns } from './turns.ts';
import { workload } from './workload.ts';

/**
 * The same work inside a sandbox and outside of it: in a chroot of the same root file system, on a tmpfs and on the
 * disk of this machine, without limits. It times itself, so that neither's start counts.
 */
export async function overhead(site: Site): Promise<Row[]> {
  const { source, works } = await workload(site);
  const disks: readonly DiskKind[] = ['tmpfs', 'ext4'];
  const rows: Row[] = [];
  for (const { what, script, limit } of works) {
    const results = await takeTurns(
      site.stop,
      Math.max(2, Math.round(site.runs / 10)),
      disks.flatMap((disk) => [
        () => settled(() => inside(site, disk, source, script)),
        () => settled(() => outside(site, disk, source, script)),
      ]),
    );
    for (const [i, disk] of disks.entries()) {
      rows.push({
        what: `${what}, on ${disk}`,
        unit: 's',
        better: 'less',
        samples: results[2 * i] ?? [],
        peers: [{ name: 'outside', samples: results[2 * i + 1] ?? [], target: { kind: 'cost', limit } }],
      });
    }
  }
  return rows;
}

/** One that wrote before must not make the next one wait for the disk. */
async function settled(task: () => Promise<number>): Promise<number> {
  await run({ file: 'sync', args: [] });
  return task();
}

/** Prints the nanoseconds that the script took. $source is only read, $work written. */
const timed = (script: string) => `set -e
cd "$work"
begun=$(date +%s%N)
${script}
echo $(($(date +%s%N) - begun))`;

async function inside(
  { driver, image }: Site,
  disk: DiskKind,
  source: string,
  script: string,
): Promise<number> {
  const { sandbox, container } = openBox(driver, image, limitsOn[disk], source);
  let output = '';
  try {
    const env = { source: '/workspace', work: '/workspace', TMPDIR: '/workspace' };
    await runIn(container, ['sh', '-c', timed(script)], (chunk) => void (output += chunk.toString()), env);
  } finally {
    await sandbox.destroy();
  }
  return seconds(output);
}

/** The mounts are of a namespace that ends with the script. */
const enter = `set -e
mount --bind -o ro "$root" "$place"
mount -t proc proc "$place/proc"
mount -t tmpfs tmpfs "$place/dev"
mknod -m 666 "$place/dev/null" c 1 3
mount --bind -o ro "$source" "$place/media"
if [ "$disk" = tmpfs ]; then mount -t tmpfs tmpfs "$place/mnt"; else mount --bind "$work" "$place/mnt"; fi
exec chroot "$place" env -i PATH="$PATH" source=/media work=/mnt TMPDIR=/mnt sh -c "$script"`;

async function outside(
  { root, scratch }: Site,
  disk: DiskKind,
  source: string,
  script: string,
): Promise<number> {
  const place = join(scratch, 'chroot');
  const work = join(scratch, 'work');
  await Promise.all([mkdir(place, { recursive: true }), mkdir(work, { recursive: true })]);
  const { stdout } = await run({
    file: 'unshare',
    args: ['--mount', '--propagation', 'private', 'sh', '-c', enter],
    env: { PATH: path, root, place, source, disk, work, script: timed(script) },
  });
  return seconds(stdout.toString());
}

function seconds(output: string): number {
  const nanoseconds = Number(output.trim().split('\n').at(-1));
  if (!(nanoseconds > 0)) throw new Error(`a workload printed ${JSON.stringify(output)} instead of its time`);
  return nanoseconds / 1e9;
}
