import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CacheRecord } from '../../src/build.ts';
import type { PlanCache } from '../../src/workflow/plan.ts';
import { type CacheOwner, openCaches } from '../../workers/caches.ts';
import { lab, type Lab, shell, start, tell } from '../runtime/crun/lab.ts';
import { cupboard, storageIn } from './caches/cupboard.ts';
import { temporaryDirectory } from './directory.ts';

const npm: PlanCache = { name: 'npm', path: '/root/.npm', key: ['lock'] };
const trusted: CacheOwner = { project: 'shop', trust: 'trusted' };

/** Builds with caches, each in a sandbox of its own, on one worker. */
function worker(place: Lab, directory: string, maxBytes = 2 ** 30, store?: string) {
  const { tiers, layers } = cupboard(directory, store === undefined ? undefined : storageIn(store));
  const caches = openCaches({ tiers, maxBytes });
  let count = 0;

  /** What the script printed, what the log says of caches, without times, and the records. */
  const build = async (
    script: string,
    {
      owner = trusted,
      cache = npm,
      files = {},
    }: { owner?: CacheOwner; cache?: PlanCache; files?: Files } = {},
  ) => {
    using source = temporaryDirectory();
    source.write(files);
    const lines: string[] = [];
    const restored = await caches.of(owner)({
      plan: { caches: [cache], workspace: '/workspace' },
      build: `b${count++}`,
      source: { directories: [source.path], hidden: [] },
      say: (line) => void lines.push(line.replace(/\d+ ms|[\d.]+ s|\d{4}-\S+Z/g, '…')),
    });
    const sandbox = place.open({ workspace: { sources: [source.path] }, volumes: restored.volumes });
    const box = start(sandbox);
    const { output, exit } = await tell(box, shell(script));
    box.kill();
    const records = exit.code === 0 ? await restored.save(sandbox) : restored.records;
    await sandbox.destroy();
    return { output, lines, record: records[0] };
  };
  return { build, layers, tiers };
}

type Files = Readonly<Record<string, string>>;

const lock = (text: string): { files: Files } => ({ files: { lock: text } });
const fill = 'cat /root/.npm/* 2>/dev/null; echo';

describe('a cache', () => {
  test('is empty at first, then exactly what was saved for the same key files, else the newest', async () => {
    await using place = lab();
    const { build } = worker(place, place.dataDir);
    const seen: [string, readonly string[], CacheRecord | undefined][] = [];
    for (const [text, script] of [
      ['1', `${fill} one >/root/.npm/a`],
      ['1', `${fill} more >/root/.npm/b`],
      ['2', `${fill} two >/root/.npm/c`],
      ['1', fill],
      ['3', fill],
    ] as const) {
      const { output, lines, record } = await build(script, lock(text));
      seen.push([output.trim(), lines, record]);
    }
    const restored = (size: string, match: string) => `cache npm: restored ${size} in … (${match})`;
    expect(seen).toEqual([
      [
        '',
        ['cache npm: nothing to restore', 'cache npm: saved 1 file, 4 B in …'],
        { name: 'npm', restored: 'none', savedBytes: 4 },
      ],
      // What a build adds to an exact one is not kept: what is saved for a key stays.
      ['one', [restored('1 file, 4 B', 'exact')], { name: 'npm', restored: 'exact', restoredBytes: 4 }],
      [
        'one',
        [restored('1 file, 4 B', 'the newest, of …'), 'cache npm: saved 2 files, 8 B in …'],
        { name: 'npm', restored: 'newest', restoredBytes: 4, savedBytes: 8 },
      ],
      ['one', [restored('1 file, 4 B', 'exact')], { name: 'npm', restored: 'exact', restoredBytes: 4 }],
      [
        'one\ntwo',
        [restored('2 files, 8 B', 'the newest, of …')],
        { name: 'npm', restored: 'newest', restoredBytes: 8 },
      ],
    ]);
  });

  test('without key files is saved by each build that changed it', async () => {
    await using place = lab();
    const { build, layers, tiers } = worker(place, place.dataDir);
    const ccache = { ...npm, key: [] };
    for (const name of ['a', 'b', 'c']) await build(`echo ${name} >/root/.npm/${name}`, { cache: ccache });
    const { output } = await build('cat /root/.npm/*', { cache: ccache });
    await tiers.settled();
    expect([output, layers.keys().length]).toEqual(['a\nb\nc\n', 3]);
  });

  test('may lie in the workspace', async () => {
    await using place = lab();
    const { build } = worker(place, place.dataDir);
    const modules = { ...npm, path: 'web/node_modules' };
    const files = { lock: '1', 'web/index.js': 'i' };
    await build('echo dep >web/node_modules/dep', { cache: modules, files });
    const { output } = await build('cat web/node_modules/dep; ls web', { cache: modules, files });
    expect(output).toBe('dep\nindex.js\nnode_modules\n');
  });

  test('of a build that failed is not saved', async () => {
    await using place = lab();
    const { build } = worker(place, place.dataDir);
    await build('echo poison >/root/.npm/a; exit 1', lock('1'));
    expect((await build(fill, lock('1'))).output.trim()).toBe('');
  });

  test('is read and not written by strangers, and is never that of another project', async () => {
    await using place = lab();
    const { build } = worker(place, place.dataDir);
    const untrusted: CacheOwner = { project: 'shop', trust: 'untrusted' };
    await build('echo poison >/root/.npm/a', { ...lock('1'), owner: untrusted });
    const first = await build(`${fill} good >/root/.npm/a`, lock('1'));
    const stranger = await build(`${fill} poison >>/root/.npm/a`, { ...lock('1'), owner: untrusted });
    const other = await build(fill, { ...lock('1'), owner: { ...trusted, project: 'bank' } });
    const last = await build(fill, lock('1'));
    expect([first, stranger, other, last].map(({ output }) => output.trim())).toEqual([
      '',
      'good',
      '',
      'good',
    ]);
  });

  test('of builds side by side: none waits, none sees another, one is saved', async () => {
    await using place = lab();
    const { build, layers, tiers } = worker(place, place.dataDir);
    await build('echo base >/root/.npm/base', lock('0'));
    const all = await Promise.all(
      Array.from({ length: 4 }, (_, i) =>
        build(`echo ${i} >/root/.npm/own; sleep 0.1; cat /root/.npm/base /root/.npm/own`, lock('1')),
      ),
    );
    expect(all.map(({ output }) => output)).toEqual(['base\n0\n', 'base\n1\n', 'base\n2\n', 'base\n3\n']);
    await tiers.settled();
    expect(layers.keys()).toHaveLength(2);
  });

  test('that was damaged on the disk is as good as none, and saved anew', async () => {
    await using place = lab();
    const { build, layers, tiers } = worker(place, place.dataDir);
    await build('echo good >/root/.npm/a', lock('1'));
    await tiers.settled();
    const [key = ''] = layers.keys();
    rmSync(join(layers.place(key).tree, 'a'));
    const { output, lines } = await build(`${fill} again >/root/.npm/a`, lock('1'));
    expect([output.trim(), lines]).toEqual([
      '',
      [
        'cache npm: the snapshot here is damaged and was dropped',
        'cache npm: nothing to restore',
        'cache npm: saved 1 file, 6 B in …',
      ],
    ]);
    expect((await build(fill, lock('1'))).output.trim()).toBe('again');
  });

  test('of another worker comes from storage as the build left it', async () => {
    await using place = lab();
    const store = join(place.dataDir, 'store');
    const [one, two] = ['one', 'two'].map((name) => worker(place, join(place.dataDir, name), 2 ** 30, store));
    if (!one || !two) throw new Error('no worker');
    await one.build(
      `cd /root/.npm; echo tool >tool; chown 7:8 tool; chmod 755 tool; ln tool hard; ln -s tool soft
      mkdir -m 700 d; echo x >"d/$(printf 'bad\\377')"; truncate -s 1M sparse; touch -d @1000000000 tool`,
      lock('1'),
    );
    await one.tiers.settled();
    const { output, lines } = await two.build(
      'cd /root/.npm; stat -c "%n %u %g %a %h %Y" tool hard d; readlink soft; ls d | od -c | head -1; du sparse',
      lock('1'),
    );
    expect(lines).toEqual(['cache npm: restored 4 files, 1.0 MB in … (exact)']);
    expect(output).toMatch(
      /^tool 7 8 755 2 1000000000\nhard 7 8 755 2 1000000000\nd 0 0 700 \d \d+\ntool\n0+ +b +a +d +377/,
    );
  });
});

describe('what is not saved', () => {
  test('is more than there is room for', async () => {
    await using place = lab();
    const { build, layers } = worker(place, place.dataDir, 1000);
    const { lines } = await build('truncate -s 1T /root/.npm/sparse', lock('1'));
    expect(lines.at(-1)).toBe('cache npm: not saved: it has more than 1.0 kB or 2000000 entries');
    expect(readdirSync(join(place.dataDir, 'caches'))).toEqual([]);
    expect(layers.keys()).toEqual([]);
  });

  test('are devices, sockets and FIFOs; a link is only a link', async () => {
    await using place = lab();
    const { build, layers } = worker(place, place.dataDir);
    await build(
      `cd /root/.npm; mkfifo fifo; ln -s /etc/shadow shadow; ln -s ../../../../.. up; echo x >file
      perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("socket")) or die $!'`,
      lock('1'),
    );
    const [key = ''] = layers.keys();
    expect(readdirSync(layers.place(key).tree).sort()).toEqual(['file', 'shadow', 'up']);
    const { output } = await build(
      'cat /root/.npm/shadow | head -c 5; cat /root/.npm/up/etc/hostname',
      lock('1'),
    );
    expect(output).toBe('root:cofferdam\n');
  });

  test('is a cache whose key cannot be told', async () => {
    await using place = lab();
    const { build } = worker(place, place.dataDir);
    const { lines } = await build('echo x >/root/.npm/a', { cache: { ...npm, key: ['['] }, ...lock('1') });
    expect(lines).toEqual([expect.stringMatching(/^cache npm: not used: .*\[ without \]/)]);
  });
});

test('a key that no file of the source has is told, and as good as none', async () => {
  await using place = lab();
  const { build } = worker(place, place.dataDir);
  const { lines } = await build('echo x >/root/.npm/a');
  expect(lines[0]).toBe('cache npm: no file of the source is lock');
});
