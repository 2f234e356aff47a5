import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { run } from '../runtime/command.ts';
import { makeRepository, type TestRepository } from '../test/git/repository.ts';
import { serveHttp } from '../test/git/http.ts';
import { openRemote } from '../workers/git/remote.ts';
import { type GitRequest, gitSources } from '../workers/git/sources.ts';
import { layerCache } from '../workers/layer-cache.ts';
import { type Row, summarise } from './row.ts';
import { table } from './table.ts';

const { json, files, rounds } = new Command('bench:sources')
  .description(
    'Measures how soon the files of a commit are there, against git clone over the same transport.',
  )
  .option('--json', 'print one JSON document instead of a table')
  .option('--files <count>', 'files of the repository; the targets are for 50000', whole, 50_000)
  .option('--rounds <count>', 'new commits, and a hundredth of the second builds', whole, 10)
  .parse()
  .opts<{ json?: boolean; files: number; rounds: number }>();

const changed = 10;
const root = mkdtempSync(join(tmpdir(), 'cofferdam-bench-sources-'));
try {
  const rows = (await measure(root)).map(summarise);
  const results = [{ figure: 'source', rows }];
  const machine = { processors: cpus().length, kernel: release(), node: process.version };
  process.stdout.write(json ? `${JSON.stringify({ machine, files, results }, null, 2)}\n` : table(results));
} finally {
  rmSync(root, { recursive: true, force: true });
}

async function measure(place: string): Promise<Row[]> {
  const origin = await makeRepository(place, 'origin.git');
  const server = await serveHttp(place);
  try {
    const url = `${server.url}/origin.git`;
    const cache = layerCache({ dataDir: join(place, 'data'), capBytes: Number.POSITIVE_INFINITY });
    const sources = gitSources({
      dataDir: join(place, 'data'),
      cache,
      mirrorsCapBytes: Number.POSITIVE_INFINITY,
    });
    const use = (sha: string) => sources.use(requestOf(url, sha));
    const first = await origin.commit(
      Object.fromEntries(Array.from({ length: files }, (_, i) => [pathOf(i), textOf(i)])),
    );
    await origin.git('repack', '-ad', '--quiet');
    const firstMs = await timed(() => use(first));
    const firstClone = await cloning(url, join(place, 'clone'));
    const ours: number[] = [];
    const clones: number[] = [];
    const again: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const sha = await change(origin, round);
      ours.push(await timed(() => use(sha)));
      clones.push(await cloning(url, join(place, 'clone')));
      for (let i = 0; i < 100; i++) again.push(await timed(() => use(sha)));
    }
    return [
      { what: 'second build of a commit', unit: 'ms', better: 'less', samples: again, target: 15 },
      {
        what: `new commit, ${changed} of ${files} files changed`,
        unit: 'ms',
        better: 'less',
        samples: ours,
        peers: [{ name: 'git clone --depth 1', samples: clones, target: { kind: 'gain', limit: 5 } }],
      },
      {
        what: 'first commit of the repository, with its history',
        unit: 'ms',
        better: 'less',
        samples: [firstMs],
        peers: [{ name: 'git clone --depth 1', samples: [firstClone] }],
      },
    ];
  } finally {
    await server.stop();
  }
}

function requestOf(url: string, sha: string): GitRequest {
  return {
    url,
    sha,
    ref: 'refs/heads/main',
    repository: undefined,
    checkout: { submodules: 'none', lfs: 'none', paths: [] },
    remote: () => openRemote({ url, credentials: undefined, hosts: 'internal' }),
    signal: new AbortController().signal,
    progress: () => {},
  };
}

/** Milliseconds of a clone into a new directory, which goes afterwards. */
async function cloning(url: string, directory: string): Promise<number> {
  const command = { file: 'git', args: ['clone', '--quiet', '--depth', '1', url, directory] };
  const took = await timed(() => run(command));
  rmSync(directory, { recursive: true });
  return took;
}

/** Ten directories of 50 each, and so on, as in a large project. */
function pathOf(i: number): string {
  return `part-${i % 50}/module-${Math.floor(i / 50) % 20}/file-${i}.txt`;
}

/** 1 to 4 KiB that do not compress to nothing. */
function textOf(i: number): string {
  let text = '';
  for (let line = 0; text.length < 1024 + (i % 4) * 1024; line++)
    text += `${i} ${line} ${(i * 7919 + line * 104_729) % 99_991}\n`;
  return text;
}

async function change(origin: TestRepository, round: number): Promise<string> {
  const numbers = Array.from({ length: changed }, (_, i) => (round * 1009 + i * 4999) % files);
  return await origin.commit(
    Object.fromEntries(numbers.map((i) => [pathOf(i), `${textOf(i)}changed in ${round}\n`])),
  );
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

function whole(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('a whole number above 0');
  return number;
}
