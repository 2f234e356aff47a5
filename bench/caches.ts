import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../runtime/command.ts';
import type { Volume } from '../runtime/sandbox.ts';
import { defaultLimits } from '../src/limits.ts';
import type { RestoredCaches } from '../workers/caches.ts';
import { machineCaches } from '../workers/caches/open.ts';
import { path } from './cofferdam.ts';
import type { Row } from './row.ts';
import type { Site } from './site.ts';

const files = 50_000;
const filesOfDirectory = 100;
const cachePath = '/root/.cache';
const maxBytes = 1024 ** 4;
const diskBytes = 16 * 1024 ** 3;

/**
 * A cache of 50,000 files, 1 GB: restored, and saved after a build that wrote all of it. `tar` packs the same tree into a
 * file beside it. Both are on a new ext4 of their own: on one where many files were removed in the last five minutes, new
 * ones take up to ten times as long, as it looks for places that were not used just now (recently_deleted in the kernel).
 */
export async function caches(site: Site): Promise<Row[]> {
  const disk = join(site.scratch, 'disk');
  await mountNewDisk(disk);
  try {
    return await measure(site, disk);
  } finally {
    await run({ file: 'umount', args: [disk] });
  }
}

/** The mount namespace is that of the benchmark (run.ts). */
async function mountNewDisk(disk: string): Promise<void> {
  const image = `${disk}.img`;
  mkdirSync(disk);
  await run({ file: 'truncate', args: ['--size', String(diskBytes), image] });
  await run({ file: 'mkfs.ext4', args: ['-q', '-F', '-E', 'lazy_itable_init=0', image] });
  await run({ file: 'mount', args: ['-o', 'loop', image, disk] });
}

async function measure(site: Site, disk: string): Promise<Row[]> {
  const seed = makeTree(join(disk, 'seed'));
  const machine = machineCaches({
    dataDir: join(disk, 'data'),
    maxBytes,
    storage: undefined,
    onTrouble: (error) => site.progress(String(error)),
  });
  const restore = (build: string): Promise<RestoredCaches> =>
    machine.of({ project: 'bench', trust: 'trusted' })({
      plan: { caches: [{ name: build, path: cachePath, key: [] }], workspace: '/workspace' },
      build,
      source: { directories: [], hidden: [] },
      say: () => {},
    });

  const saves: number[] = [];
  const tars: number[] = [];
  for (let round = 0; round < rounds(site); round++) {
    site.stop.throwIfAborted();
    const archive = join(disk, `tree-${round}.tar`);
    tars.push(
      await calmly(() =>
        run({ file: 'tar', args: ['--create', `--file=${archive}`, '--directory', seed, '.'] }),
      ),
    );
    const restored = await restore(`round-${round}`);
    const box = await sandbox(
      site,
      [...restored.volumes, { path: '/seed', layers: [seed] }],
      'cp -a /seed/. /root/.cache',
    );
    saves.push(await calmly(() => restored.save(box)));
    await box.destroy();
  }

  const restores: number[] = [];
  const without: number[] = [];
  const starting = async (samples: number[], volumes: () => Promise<readonly Volume[]>) => {
    const began = performance.now();
    const box = await sandbox(site, await volumes(), 'true');
    samples.push(performance.now() - began);
    await box.destroy();
  };
  for (let round = 0; round < site.runs; round++) {
    site.stop.throwIfAborted();
    await starting(without, async () => []);
    await starting(restores, async () => (await restore('round-0')).volumes);
  }
  const rate = (ms: number) => (files * meanBytes) / 1e3 / ms;
  return [
    {
      what: 'what a restored cache of 50,000 files, 1 GB, adds to a start',
      unit: 'ms',
      better: 'less',
      samples: restores.map((ms, i) => ms - (without[i] ?? 0)),
      target: 20,
    },
    {
      what: 'save 50,000 files, 1 GB',
      unit: 'MB/s',
      better: 'more',
      samples: saves.map(rate),
      peers: [{ name: 'tar into a file', samples: tars.map(rate), target: { kind: 'cost', limit: 1.43 } }],
    },
  ];
}

const rounds = ({ runs }: Site) => Math.min(5, Math.max(2, Math.round(runs / 20)));

/** A sandbox in which a script ran, and nothing runs any more. */
async function sandbox({ driver, image }: Site, volumes: readonly Volume[], script: string) {
  const box = driver.open({
    id: `bench-caches-${process.pid}-${count++}`,
    limits: { ...defaultLimits, diskBytes: 4 * 1024 ** 3, diskInodes: 200_000 },
    workspace: { path: '/workspace', sources: [], hidden: [] },
    volumes,
  });
  const container = box.start({ name: 'main', root: image.root });
  const command = { args: ['sh', '-c', script], env: { PATH: path }, cwd: '/' } as const;
  const { code } = await container.run(command, () => {});
  if (code !== 0) throw new Error(`${script} ended with ${code}`);
  container.kill();
  return box;
}

let count = 0;

/** Milliseconds of some work, once what was written before is on the disk. */
async function calmly(work: () => Promise<unknown>): Promise<number> {
  await run({ file: 'sync', args: [] });
  const began = performance.now();
  await work();
  return performance.now() - began;
}

const meanBytes = 20_000;

/** Files of 2 KB to 4 KB mostly, every twentieth large, as of packages; they do not compress. */
function makeTree(root: string): string {
  const noise = randomBytes(1024 ** 2);
  for (let i = 0; i < files; i++) {
    const directory = join(root, `package-${Math.floor(i / filesOfDirectory)}`, 'lib');
    if (i % filesOfDirectory === 0) mkdirSync(directory, { recursive: true });
    const large = i % 20 === 0;
    // 19 files of 3 KB and one of 343 KB make 20 times 20 KB.
    const size = large ? 20 * meanBytes - 19 * 3_000 : 2_000 + (i % 3) * 1_000;
    writeFileSync(join(directory, `file-${i}`), noise.subarray(i % 4096, (i % 4096) + size));
  }
  return root;
}
