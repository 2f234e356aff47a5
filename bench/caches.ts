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

/**
 * A cache of 50,000 files, 1 GB: restored, and saved after a build that wrote all of it. `tar` packs the same tree into a
 * file beside it. Each round is on a new ext4 in memory: what else the disk of a shared machine does is many times as
 * much as the difference, and on an ext4 where many files were removed in the last five minutes new ones take up to ten
 * times as long, as it looks for inodes that were not used just now (recently_deleted in the kernel).
 */
export async function caches(site: Site): Promise<Row[]> {
  const saves: number[] = [];
  const tars: number[] = [];
  const restores: number[] = [];
  const without: number[] = [];
  for (let round = 0; round < rounds(site); round++) {
    site.stop.throwIfAborted();
    await onNewDisk(join(site.scratch, 'disk'), async (disk) => {
      const seed = makeTree(join(disk, 'seed'));
      const tarArgs = ['--create', `--file=${join(disk, 'tree.tar')}`, '--directory', seed, '.'];
      tars.push(await calmly(() => run({ file: 'tar', args: tarArgs })));
      const restore = restoring(site, disk);
      const restored = await restore();
      const volumes = [...restored.volumes, { path: '/seed', layers: [seed] }];
      const box = await sandbox(site, volumes, 'cp -a /seed/. /root/.cache');
      saves.push(await calmly(() => restored.save(box)));
      await box.destroy();
      for (let start = 0; start < site.runs / rounds(site); start++) {
        without.push(await starting(site, async () => []));
        restores.push(await starting(site, async () => (await restore()).volumes));
      }
    });
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

/** The mount namespace is that of the benchmark (run.ts). */
async function onNewDisk(place: string, work: (disk: string) => Promise<void>): Promise<void> {
  const [memory, disk] = [`${place}.memory`, place];
  const image = join(memory, 'image');
  for (const directory of [memory, disk]) mkdirSync(directory, { recursive: true });
  await run({ file: 'mount', args: ['-t', 'tmpfs', '-o', 'size=6g', 'tmpfs', memory] });
  try {
    await run({ file: 'truncate', args: ['--size', '6G', image] });
    await run({ file: 'mkfs.ext4', args: ['-q', '-F', image] });
    await run({ file: 'mount', args: ['-o', 'loop', image, disk] });
    try {
      await work(disk);
    } finally {
      await run({ file: 'umount', args: [disk] });
    }
  } finally {
    await run({ file: 'umount', args: [memory] });
  }
}

function restoring(site: Site, dataDir: string): () => Promise<RestoredCaches> {
  const machine = machineCaches({
    dataDir,
    maxBytes,
    storage: undefined,
    onTrouble: (error) => site.progress(String(error)),
  });
  return () =>
    machine.of({ project: 'bench', trust: 'trusted' })({
      plan: { caches: [{ name: 'all', path: cachePath, key: [] }], workspace: '/workspace' },
      build: 'bench',
      source: { directories: [], hidden: [] },
      say: () => {},
    });
}

/** Milliseconds of a sandbox that does nothing. */
async function starting(site: Site, volumes: () => Promise<readonly Volume[]>): Promise<number> {
  site.stop.throwIfAborted();
  const began = performance.now();
  const box = await sandbox(site, await volumes(), 'true');
  const took = performance.now() - began;
  await box.destroy();
  return took;
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
