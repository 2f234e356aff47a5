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
      rows.push({
        what: `${what}, disk on ${disk}`,
        unit: 's',
        better: 'less',
        samples,
        peers: places.map((place, i) => ({
          name: `outside, on ${place}`,
          samples: others[i] ?? [],
          target: { kind: 'cost', limit },
        })),
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

const mountWork: Record<Place, string> = {
  tmpfs: 'mount -t tmpfs -o noatime tmpfs "$new/mnt"',
  'ext4 in a file': `mkfs.ext4 -q -F -m 0 -O ^has_journal,^resize_inode -E nodiscard,lazy_itable_init=1 "$work.img" 10g
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
): Promise<number> {
  const [newRoot, work] = [join(scratch, 'chroot'), join(scratch, 'work')];
  await Promise.all([mkdir(newRoot, { recursive: true }), mkdir(work, { recursive: true })]);
  const { stdout } = await run({
    file: 'unshare',
    args: ['--mount', '--propagation', 'private', 'sh', '-c', enter(place)],
    env: { PATH: path, root, new: newRoot, source, work, script: timed(script) },
  });
  return seconds(stdout.toString());
}

function seconds(output: string): number {
  const nanoseconds = Number(output.trim().split('\n').at(-1));
  if (!(nanoseconds > 0)) throw new Error(`a workload printed ${JSON.stringify(output)} instead of its time`);
  return nanoseconds / 1e9;
}
