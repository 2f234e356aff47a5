import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../runtime/command.ts';
import { type DiskKind, limitsOn, openBox, path, runIn } from './cofferdam.ts';
import type { Row } from './row.ts';
import type { Site } from './site.ts';
import { takeTurns } from './turns.ts';
import { workload } from './workload.ts';

/** Where work outside writes: tmpfs, a new ext4 without journal in a sparse file, the disk of this machine. */
type Place = 'tmpfs' | 'ext4 in a file' | 'the disk itself';

/** What each of our disks is compared with: the same filesystem without us, and what a build had to do without us. */
const counterparts: readonly { readonly disk: DiskKind; readonly places: readonly Place[] }[] = [
  { disk: 'tmpfs', places: ['tmpfs'] },
  { disk: 'ext4', places: ['ext4 in a file', 'the disk itself'] },
];

/** Seconds that the work took, and of the processors: the latter hardly depend on what else the machine does. */
interface Spent {
  readonly wall: number;
  readonly processor: number;
}

/**
 * The same work inside a sandbox and outside of it: in a chroot of the same root file system, without limits. It
 * times itself, so that neither's start counts.
 */
export async function overhead(site: Site): Promise<Row[]> {
  const { source, works } = await workload(site);
  const rows: Row[] = [];
  for (const { what, script, limit } of works) {
    const results = await takeTurns(
      site.stop,
      Math.max(2, Math.round(site.runs / 10)),
      counterparts.flatMap(({ disk, places }) => [
        () => settled(() => inside(site, disk, source, script)),
        ...places.map((place) => () => settled(() => outside(site, place, source, script))),
      ]),
    );
    for (const { disk, places } of counterparts) {
      const [samples = [], ...others] = results.splice(0, 1 + places.length);
      const row = (suffix: string, pick: (spent: Spent) => number): Row => ({
        what: `${what}, disk on ${disk}${suffix}`,
        unit: 's',
        better: 'less',
        samples: samples.map(pick),
        peers: places.map((place, i) => ({
          name: `outside, on ${place}`,
          samples: (others[i] ?? []).map(pick),
          target: { kind: 'cost', limit },
        })),
      });
      rows.push(
        row('', ({ wall }) => wall),
        row(', CPU time', ({ processor }) => processor),
      );
    }
  }
  return rows;
}

/** One that wrote before must not make the next one wait for the disk. */
async function settled(task: () => Promise<Spent>): Promise<Spent> {
  await run({ file: 'sync', args: [] });
  return task();
}

/** Prints the nanoseconds that the script took, then times(1). $source is only read, $work written. */
const timed = (script: string) => `set -e
cd "$work"
begun=$(date +%s%N)
${script}
echo $(($(date +%s%N) - begun))
times`;

async function inside(
  { driver, image }: Site,
  disk: DiskKind,
  source: string,
  script: string,
): Promise<Spent> {
  const { sandbox, container } = openBox(driver, image, limitsOn[disk], source);
  let output = '';
  try {
    const env = { source: '/workspace', work: '/workspace', TMPDIR: '/workspace' };
    await runIn(container, ['sh', '-c', timed(script)], (chunk) => void (output += chunk.toString()), env);
  } finally {
    await sandbox.destroy();
  }
  return parseSpent(output);
}

const mountWork: Record<Place, string> = {
  tmpfs: 'mount -t tmpfs -o noatime tmpfs "$new/mnt"',
  'ext4 in a file': `mkfs.ext4 -q -F -m 0 -O ^has_journal,^resize_inode -E nodiscard,lazy_itable_init=1 "$work.img" 10g >/dev/null
mount -o loop,noatime,noinit_itable,nobarrier "$work.img" "$new/mnt"
rm "$work.img"`,
  'the disk itself': 'mount --bind "$work" "$new/mnt"',
};

/** The mounts are of a namespace that ends with the script. */
const enter = (place: Place) => `set -e
mount --bind -o ro "$root" "$new"
mount -t proc proc "$new/proc"
mount -t tmpfs tmpfs "$new/dev"
mknod -m 666 "$new/dev/null" c 1 3
mount --bind -o ro "$source" "$new/media"
${mountWork[place]}
exec chroot "$new" env -i PATH="$PATH" source=/media work=/mnt TMPDIR=/mnt sh -c "$script"`;

async function outside(
  { root, scratch }: Site,
  place: Place,
  source: string,
  script: string,
): Promise<Spent> {
  const [newRoot, work] = [join(scratch, 'chroot'), join(scratch, 'work')];
  await Promise.all([mkdir(newRoot, { recursive: true }), mkdir(work, { recursive: true })]);
  const { stdout } = await run({
    file: 'unshare',
    args: ['--mount', '--propagation', 'private', 'sh', '-c', enter(place)],
    env: { PATH: path, root, new: newRoot, source, work, script: timed(script) },
  });
  return parseSpent(stdout.toString());
}

/** times(1): user and system time of the shell, and on a second line of its children, each as `0m1.23s`. */
function parseSpent(output: string): Spent {
  const match = output.match(/^(\d+)\n.*\n(\d+)m([\d.]+)s (\d+)m([\d.]+)s\n$/);
  if (!match) throw new Error(`a workload printed ${JSON.stringify(output)} instead of its time`);
  const [nanoseconds = 0, userMinutes = 0, user = 0, systemMinutes = 0, system = 0] = match
    .slice(1)
    .map(Number);
  return { wall: nanoseconds / 1e9, processor: 60 * (userMinutes + systemMinutes) + user + system };
}
