import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { mmdebstrapCommand } from '../../../runtime/images/bootstrap.ts';
import { bootstrapKey } from '../../../runtime/images/bootstrap-key.ts';
import { sourceLines } from '../../../runtime/images/package-sources.ts';
import { parseReference } from '../../../runtime/images/reference.ts';
import { imageStore } from '../../../runtime/images/store.ts';
import { contents, newStore } from './fixture.ts';
import { census, scratch, storeOptions } from './unpacking.ts';

function parse(text: string) {
  const reference = parseReference(text, () => false);
  if (reference.kind !== 'bootstrap') throw new Error(text);
  return reference;
}

describe('the key of a bootstrapped image', () => {
  it('depends on suite, packages and the package sources, and on nothing else', () => {
    using dir = scratch();
    const parts = join(dir.path, 'sources.list.d');
    const keyOf = (text: string) => bootstrapKey(parse(text), dir.path);
    const none = keyOf('bootstrap:bookworm');
    expect(keyOf('bootstrap:bookworm')).toBe(none);
    expect(keyOf('bootstrap:bookworm+git,make')).toBe(keyOf('bootstrap:bookworm+make,git'));
    mkdirSync(parts);
    writeFileSync(join(parts, 'README'), 'no source');
    expect(keyOf('bootstrap:bookworm')).toBe(none);
    const keys = [none, keyOf('bootstrap:trixie'), keyOf('bootstrap:bookworm+git')];
    for (const [name, content] of [
      ['sources.list', 'deb http://a b c'],
      ['sources.list.d/x.list', 'deb http://a b c'],
      ['sources.list.d/y.sources', 'Types: deb'],
      ['sources.list.d/y.sources', 'Types: deb-src'],
    ] as const) {
      writeFileSync(join(dir.path, name), content);
      keys.push(keyOf('bootstrap:bookworm'));
    }
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('the sources of a suite', () => {
  // As `apt-get indextargets` prints them with our format; an option that is not set stays as it is.
  const targets = [
    'http://mirror/debian/ bookworm main|/usr/share/keyrings/k.gpg',
    'http://mirror/debian/ bookworm main|/usr/share/keyrings/k.gpg',
    'http://mirror/debian/ bookworm-updates main|$(SIGNED_BY)',
    'http://mirror/security/ bookworm-security main|',
    'http://elsewhere/ nodistro main|/k.gpg',
    'http://mirror/debian/ bookworm-backports main|',
    '',
  ].join('\n');

  it('are the machine’s own for it and its updates, each once, with their keys', () => {
    expect(sourceLines(targets, 'bookworm')).toEqual([
      'deb [signed-by=/usr/share/keyrings/k.gpg] http://mirror/debian/ bookworm main',
      'deb http://mirror/debian/ bookworm-updates main',
      'deb http://mirror/security/ bookworm-security main',
    ]);
  });

  it('are none for a suite that the machine does not know: mmdebstrap has defaults', () => {
    expect(sourceLines(targets, 'trixie')).toEqual([]);
  });
});

it('mmdebstrap gets the suite and packages as arguments, alone in a PID namespace', () => {
  const { file, args } = mmdebstrapCommand(
    parse('bootstrap:bookworm+make,g++'),
    ['deb http://m s c'],
    '/tmp/x',
  );
  expect(file).toBe('env');
  expect(args.slice(0, 3)).toEqual(['TMPDIR=/tmp/x', 'LC_ALL=C', 'unshare']);
  expect(args).toEqual(expect.arrayContaining(['--pid', '--kill-child=KILL', '--include=g++,make']));
  expect(args.slice(-3)).toEqual(['bookworm', '-', 'deb http://m s c']);
});

describe('bootstrapping', () => {
  it('makes a Debian root, once', async () => {
    using dir = scratch();
    const data = process.env['COFFERDAM_TEST_DATA'] ?? dir.path;
    const store = imageStore(data, storeOptions);
    const lines: string[] = [];
    const [image, other] = await Promise.all(
      [1, 2].map(() => store.resolve('bootstrap:bookworm', { progress: (line) => lines.push(line) })),
    );
    expect(other).toEqual(image);
    const [root = ''] = image?.root.layers ?? [];
    const { stdout } = await run({
      file: 'chroot',
      args: [root, 'sh', '-c', 'cat /etc/debian_version; /usr/sbin/policy-rc.d; echo $?; apt-config dump'],
    });
    expect(stdout.toString()).toMatch(/^12\.[0-9]+\n101\n/);
    expect(stdout.toString()).toContain('APT::Sandbox::User "root";');
    expect(lstatSync(root).mode & 0o777).toBe(0o755);
    expect(
      census(join(root, 'dev')).filter((name) => lstatSync(join(root, 'dev', name)).isCharacterDevice()),
    ).toEqual([]);
    expect(census(join(root, 'var/cache/apt')).filter((name) => name.endsWith('.deb'))).toEqual([]);
    expect(readFileSync(join(root, 'etc/apt/sources.list'), 'utf8')).toMatch(/^deb .* bookworm main/m);
    expect(existsSync(image?.root.lock ?? '')).toBe(true);
    const before = lines.length;
    expect(await store.resolve('bootstrap:bookworm', { progress: (line) => lines.push(line) })).toEqual(
      image,
    );
    expect(lines).toHaveLength(before);
    expect(lines.filter((line) => line.startsWith('making '))).toHaveLength(lines.length > 0 ? 1 : 0);
  }, 180_000);

  it('of what does not exist tells what apt says, and leaves nothing', async () => {
    using dir = scratch();
    const { store, data } = newStore(dir.path);
    const before = contents(data);
    await expect(store.resolve('bootstrap:nosuch')).rejects.toThrow(
      /image bootstrap:nosuch: The repository .* does not have a Release file\.; check the suite/,
    );
    expect(contents(data)).toEqual(before);
  }, 60_000);
});
