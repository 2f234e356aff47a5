import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { run, start } from '../../../runtime/command.ts';
import { SourceError } from '../../../workers/source.ts';
import { gitSources } from '../../../workers/git/sources.ts';
import { layerCache } from '../../../workers/layer-cache.ts';
import { inMerged, type Workplace, workplace } from './workplace.ts';

const many = (text: string, count = 300) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`d${i % 7}/f${i}`, `${text} ${i}\n`]));

/** The one mirror of a place. */
function mirrorOf({ dataDir }: Workplace): string {
  const root = join(dataDir, 'git', 'mirrors');
  const [id = ''] = readdirSync(root).filter((name) => /^[\da-f]{64}$/.test(name));
  return join(root, id, 'repository');
}

const packsIn = (mirror: string) =>
  readdirSync(join(mirror, 'objects', 'pack')).map((name) => join(mirror, 'objects', 'pack', name));

describe('a damaged mirror is made anew, and builds do not notice', () => {
  test.each<[string, (mirror: string) => void]>([
    [
      'whose packs are cut short',
      (mirror) =>
        packsIn(mirror)
          .filter((name) => name.endsWith('.pack'))
          .forEach((name) => truncateSync(name, 40)),
    ],
    [
      'whose packs are full of zeros',
      (mirror) =>
        packsIn(mirror)
          .filter((name) => name.endsWith('.pack'))
          .forEach((name) => writeFileSync(name, Buffer.alloc(3000))),
    ],
    ['whose packs are gone', (mirror) => packsIn(mirror).forEach((name) => rmSync(name))],
    [
      'whose indexes are gone',
      (mirror) =>
        packsIn(mirror)
          .filter((name) => name.endsWith('.idx'))
          .forEach((name) => rmSync(name)),
    ],
    ['without HEAD', (mirror) => rmSync(join(mirror, 'HEAD'))],
    ['without objects', (mirror) => rmSync(join(mirror, 'objects'), { recursive: true })],
    ['without configuration', (mirror) => rmSync(join(mirror, 'config'))],
    [
      'with another configuration',
      (mirror) => writeFileSync(join(mirror, 'config'), '[core]\nfsmonitor = "touch /tmp/never"\n[bad'),
    ],
    ['whose refs are garbled', (mirror) => writeFileSync(join(mirror, 'packed-refs'), 'no refs\n')],
    ['of which nothing is left', (mirror) => rmSync(join(mirror, '..'), { recursive: true })],
    [
      'that a killed git has left locked',
      (mirror) => {
        for (const name of [
          'packed-refs.lock',
          'HEAD.lock',
          'config.lock',
          'refs/heads/main.lock',
          'objects/pack/tmp_pack_x',
        ]) {
          mkdirSync(join(mirror, 'refs/heads'), { recursive: true });
          writeFileSync(join(mirror, name), '');
        }
      },
    ],
  ])('%s', async (_, damage) => {
    await using place = await workplace();
    await place.origin.commit(many('old'));
    await place.origin.git('tag', 'v1');
    const old = await place.use();
    damage(mirrorOf(place));
    const sha = await place.origin.commit({ ...many('new', 20), 'd1/f1': null });
    const tree = await place.use({ sha });
    expect(await inMerged(tree, 'git status --short; git describe --tags; cat d0/f0')).toBe(
      `v1-1-g${sha.slice(0, 7)}\nnew 0`,
    );
    expect(await inMerged(old, 'ls | wc -l')).toBe('7');
  });
});

test('a remote that is damaged itself is an error of the service', async () => {
  await using place = await workplace();
  await place.origin.commit(many('old'));
  // The server's own packs are broken.
  await place.origin.git('repack', '-adq');
  for (const name of packsIn(place.origin.directory)) if (name.endsWith('.pack')) truncateSync(name, 100);
  const error = await place.use().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(SourceError);
  expect(error).toMatchObject({
    trouble: 'unavailable',
    message: expect.stringContaining('does not give out what it says it has'),
  });
});

describe('a worker that is killed', () => {
  const fetcher = join(import.meta.dirname, 'fetcher.ts');
  const worker = ({ dataDir, url }: Workplace, sha: string) =>
    start(
      { file: process.execPath, args: ['--disable-warning=ExperimentalWarning', fetcher, dataDir, url, sha] },
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );

  test('in the middle of a fetch leaves a mirror that the next one can use', async () => {
    const asked = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    await using place = await workplace({
      intercept: async ({ method, url = '' }) => {
        if (method !== 'POST' || !url.endsWith('git-upload-pack')) return false;
        asked.resolve();
        await gate.promise;
        return false;
      },
    });
    const sha = await place.origin.commit(many('text'));
    const first = worker(place, sha);
    await asked.promise;
    first.kill('SIGKILL');
    await once(first, 'close');
    gate.resolve();
    expect(
      await inMerged(await place.use({ sha }), 'git status --short; git fsck --no-dangling 2>&1; cat d0/f0'),
    ).toBe('text 0');
  });

  test.each([0, 1, 2, 4])('at any other moment as well (%i)', async (moment) => {
    await using place = await workplace();
    const sha = await place.origin.commit(many('text', 600));
    const first = worker(place, sha);
    const mirrors = join(place.dataDir, 'git', 'mirrors');
    // From when it begins, whenever that is.
    while (!isThere(mirrors) && first.exitCode === null) await sleep(2);
    await sleep(moment * 40);
    first.kill('SIGKILL');
    await once(first, 'close');
    const tree = await place.use({ sha });
    expect(await inMerged(tree, 'git status --short; git fsck --no-dangling 2>&1; cat d0/f0')).toBe('text 0');
  });

  test('is not waited for: two at once fetch one after another, and what one has made the other takes', async () => {
    await using place = await workplace();
    const sha = await place.origin.commit(many('text'));
    const outputs = await Promise.all(
      [0, 1, 2].map(async () => {
        const child = worker(place, sha);
        const chunks: Buffer[] = [];
        child.stdout?.on('data', (chunk: Buffer) => void chunks.push(chunk));
        await once(child, 'close');
        return Buffer.concat(chunks).toString();
      }),
    );
    expect(outputs[0]).toContain(sha);
    expect(new Set(outputs).size).toBe(1);
    const fetches = place.server.requests.filter(({ path }) => path.includes('info/refs'));
    // One for the commit, one for the branches.
    expect(fetches).toHaveLength(2);
  });
});

function isThere(directory: string): boolean {
  try {
    return readdirSync(directory).length > 0;
  } catch {
    return false;
  }
}

describe('housekeeping', () => {
  test('joins packs, and removes what is over the cap; workspaces keep what they have', async () => {
    await using place = await workplace();
    await place.origin.commit(many('first'));
    const tree = await place.use();
    for (let i = 0; i < 21; i++) {
      await place.origin.commit({ [`n${i}`]: String(i) });
      const pack = [
        '-c',
        'protocol.allow=always',
        'fetch',
        '-q',
        '--force',
        place.origin.directory,
        '+main:main',
      ];
      await run({ file: 'git', args: ['-C', mirrorOf(place), '-c', 'fetch.unpackLimit=1', ...pack] });
    }
    const packs = () => packsIn(mirrorOf(place)).filter((name) => name.endsWith('.pack')).length;
    expect(packs()).toBe(22);
    await place.sources.tidy();
    expect(packs()).toBeLessThan(5);
    const check = 'git fsck --strict 2>&1; git log --format=%s; cat d0/f0';
    expect(await inMerged(tree, check)).toBe('commit 1\nfirst 0');
    // These are counted where the mirror does not have them any more.
    const own = join(tree.directories[1] ?? '', '..');
    expect(readdirSync(join(own, readFileSync(join(own, 'shared'), 'utf8')))).not.toEqual([]);
    const cache = layerCache({ dataDir: place.dataDir, capBytes: 0 });
    await gitSources({ dataDir: place.dataDir, cache, mirrorsCapBytes: 0 }).tidy();
    expect(
      readdirSync(join(place.dataDir, 'git', 'mirrors')).filter((name) => !name.endsWith('.lock')),
    ).toEqual([]);
    expect(await inMerged(tree, check)).toBe('commit 1\nfirst 0');
    const sha = await place.origin.commit({ last: '' });
    expect(await inMerged(await place.use({ sha }), 'git rev-list --count HEAD')).toBe('23');
  });

  test('of a mirror in use waits', async () => {
    const gate = Promise.withResolvers<void>();
    await using place = await workplace({
      intercept: async ({ method }) => {
        if (method === 'POST') await gate.promise;
        return false;
      },
    });
    const sha = await place.origin.commit({ a: '1' });
    const using = place.use({ sha });
    while (!isThere(join(place.dataDir, 'git', 'mirrors'))) await sleep(5);
    while (readdirSync(join(place.dataDir, 'git', 'mirrors')).length < 2) await sleep(5);
    const cache = layerCache({ dataDir: place.dataDir, capBytes: 0 });
    await gitSources({ dataDir: place.dataDir, cache, mirrorsCapBytes: 0 }).tidy();
    gate.resolve();
    expect((await using).sha).toBe(sha);
    expect(readFileSync(join(mirrorOf(place), 'HEAD'), 'utf8')).toContain('ref:');
  });
});
