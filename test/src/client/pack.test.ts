import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { createHash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { packCommand } from '../../../src/client/pack.ts';
import { createSpool } from '../../../src/client/spool.ts';

let dir: string;
beforeEach(() => {
  // A tmpfs lists files by their age; ext4 by their names.
  dir = mkdtempSync('/dev/shm/cofferdam-pack-');
});
afterEach(() => rmSync(dir, { recursive: true }));

function make(place: string, paths: readonly string[]): string {
  const root = join(dir, place);
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `content of ${path}`);
    utimesSync(join(root, path), 1000.25, 1000.25);
  }
  return root;
}

async function pack(directory: string, hidden: readonly string[] = []): Promise<Buffer> {
  const { input, ...tar } = packCommand(directory, hidden);
  return (await run(tar, { input })).stdout;
}

async function list(tar: Buffer, ...options: string[]): Promise<string[]> {
  const args = ['--list', '--file=-', '--quoting-style=literal', '--null', ...options];
  const { stdout } = await run({ file: 'tar', args }, { input: tar });
  return stdout.toString().trim().split('\n').sort();
}

test('a tar has everything but what is hidden, whatever the names', async () => {
  const odd = ['a b', 'ends in blank ', '*', '[x]', '-C', '--help', 'ü', '\\n', '"'];
  const root = make('tree', [...odd, 'keep/sub/file', 'sub/x.o', 'sub/y', 'out/deep/file', 'out2', 'x/out']);
  const hidden = ['ends in blank ', '*', 'sub/x.o', 'out', '-C'];
  const expected = ['./', './a b', './[x]', './--help', './ü', './\\n', './"', './out2', './keep/'].concat([
    './keep/sub/',
    './keep/sub/file',
    './sub/',
    './sub/y',
    './x/',
    './x/out',
  ]);
  expect(await list(await pack(root, hidden))).toEqual(expected.sort());
  const lines = make('lines', ['a\nb', 'c']);
  expect(await list(await pack(lines, ['a\nb']))).toEqual(['./', './c']);
});

test('keeps modes, links and times to the nanosecond, and belongs to root', async () => {
  const root = make('tree', ['run.sh']);
  chmodSync(join(root, 'run.sh'), 0o755);
  symlinkSync('/etc/passwd', join(root, 'link'));
  const shown = await list(await pack(root), '--verbose', '--full-time', '--numeric-owner', '--utc');
  expect(shown.join('\n')).toMatch(/^-rwxr-xr-x 0\/0 +17 1970-01-01 00:16:40\.25 +\.\/run\.sh$/m);
  expect(shown.join('\n')).toMatch(/^lrwxrwxrwx 0\/0 .* \.\/link -> \/etc\/passwd$/m);
});

test('the same files give the same bytes, in whatever order they were made', async () => {
  const names = ['b', 'a/2', 'a/1', 'c', `${'long/'.repeat(60)}name`];
  const one = make('one', names);
  const two = make('two', names.toReversed());
  for (const each of [one, two])
    await run({ file: 'find', args: [each, '-exec', 'touch', '-d', '@5', '{}', '+'] });
  const tar = await pack(one);
  expect((await pack(two)).equals(tar)).toBe(true);
  cpSync(one, two, { recursive: true });
  writeFileSync(join(two, 'c'), 'something else');
  expect((await pack(two)).equals(tar)).toBe(false);
});

test('a spool gives back what was written, with the digest of it, as often as it is asked', async () => {
  await using spool = await createSpool();
  const bytes = Buffer.alloc(3_000_000, 'some text that repeats ');
  for (let at = 0; at < bytes.length; at += 70_000) await spool.write(bytes.subarray(at, at + 70_000));
  const { digest, bytes: count, zstd } = await spool.end();
  expect(digest).toBe(createHash('sha256').update(bytes).digest('hex'));
  expect(count).toBe(bytes.length);
  expect(zstd.size).toBeLessThan(10_000);
  for (let i = 0; i < 2; i++) {
    expect(zstdDecompressSync(Buffer.from(await zstd.arrayBuffer())).equals(bytes)).toBe(true);
  }
});
