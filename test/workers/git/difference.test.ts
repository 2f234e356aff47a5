import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { difference, parseRaw } from '../../../workers/git/difference.ts';
import type { Entry } from '../../git/repository.ts';
import { randomFrom } from '../../random.ts';
import { inMerged, workplace } from './workplace.ts';

const zeros = '0'.repeat(40);
const one = '1'.repeat(40);
const two = '2'.repeat(40);

/** As `git diff-tree -r -t --raw -z` prints it. */
const raw = (...changes: readonly (readonly [string, string, string])[]) =>
  changes
    .map(([before, after, path]) => {
      const ids = `${before === '000000' ? zeros : one} ${after === '000000' ? zeros : two}`;
      return `:${before} ${after} ${ids} M\0${path}\0`;
    })
    .join('');

const file = '100644';
const dir = '040000';
const link = '120000';
const sub = '160000';
const none = '000000';

describe('what has to be laid over a tree', () => {
  test.each<[string, readonly (readonly [string, string, string])[], string[], string[]]>([
    ['nothing', [], [], []],
    [
      'a file that changed',
      [
        [dir, dir, 'd'],
        [file, file, 'd/f'],
      ],
      ['d/f'],
      [],
    ],
    [
      'a file that is gone',
      [
        [dir, dir, 'd'],
        [file, none, 'd/f'],
      ],
      [],
      ['d/f'],
    ],
    [
      'a directory that is gone',
      [
        [dir, none, 'd'],
        [dir, none, 'd/e'],
        [file, none, 'd/e/f'],
      ],
      [],
      ['d'],
    ],
    [
      'a file in the place of a directory',
      [
        [dir, none, 'd'],
        [file, none, 'd/f'],
        [none, file, 'd'],
      ],
      ['d'],
      [],
    ],
    [
      'a symlink in the place of a directory',
      [
        [none, link, 'd'],
        [dir, none, 'd'],
        [file, none, 'd/f'],
      ],
      ['d'],
      [],
    ],
    [
      'a directory in the place of a file',
      [
        [file, none, 'd'],
        [none, dir, 'd'],
        [none, file, 'd/f'],
      ],
      ['d/f'],
      [],
    ],
    ['a submodule', [[none, sub, 's']], ['s'], []],
    ['a submodule that is gone', [[sub, none, 's']], [], ['s']],
    [
      'a submodule in the place of a directory',
      [
        [none, sub, 'd'],
        [dir, none, 'd'],
        [dir, none, 'd/e'],
        [file, none, 'd/e/f'],
        [file, none, 'd/g'],
      ],
      ['d'],
      ['d/e', 'd/g'],
    ],
    [
      'a directory in the place of a submodule',
      [
        [sub, none, 's'],
        [none, dir, 's'],
        [none, file, 's/f'],
      ],
      ['s/f'],
      [],
    ],
  ])('%s', (_, changes, written, hidden) => {
    const found = difference(parseRaw(raw(...changes)));
    expect(found.written.map(({ path }) => path)).toEqual(written);
    expect(found.hidden).toEqual(hidden);
  });

  test('names are bytes, and may have line breaks in them', () => {
    expect(parseRaw(raw([none, file, 'a\nb'], [none, file, 'gr\xfc\xdf e'])).map(({ path }) => path)).toEqual(
      ['a\nb', 'gr\xfc\xdf e'],
    );
  });
});

/** A listing that has kind, mode, size, target and content of everything, and its own order. */
const listing =
  `find . -mindepth 1 -path ./.git -prune -o ! -type d -printf '%y %m %s %l %p\\0' | sort -z | tr '\\0' '|'; echo; ` +
  `find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0r sha256sum | sha256sum; ` +
  `find . -mindepth 1 -path ./.git -prune -o -type d -printf '%m %p\\n' | sort`;

const paths = [
  'a',
  'a/b',
  'a/b/c',
  'a/b/d',
  'e',
  'e/f',
  'e/f/g',
  'e/h',
  'i j',
  'k\nl',
  'ü/m',
  'n.txt',
  'n/o',
];

/** Some paths become something else, or go. */
function randomChange(random: (below: number) => number): Record<string, Entry> {
  const kinds: (() => Entry)[] = [
    () => `text ${random(4)}`,
    () => ({ executable: `#! ${random(4)}` }),
    () => ({ symlink: ['a', '/etc/passwd', '../..', 'nowhere'][random(4)] ?? '' }),
    () => ({ commit: String(1 + random(3)).repeat(40) }),
    () => null,
    () => null,
  ];
  const chosen = Array.from({ length: 1 + random(6) }, () => paths[random(paths.length)] ?? 'a');
  return Object.fromEntries(chosen.map((path) => [path, kinds[random(kinds.length)]?.() ?? null]));
}

test('over any tree a difference makes any other, as git itself checks it out', async () => {
  await using place = await workplace();
  const random = randomFrom(20_261_120);
  // Enough that a change of some files is small.
  await place.origin.commit(Object.fromEntries(paths.map((path, i) => [`${i}/${path}`, path])));
  await place.use();
  for (let round = 0; round < 20; round++) {
    const sha = await place.origin.commit(randomChange(random));
    const tree = await place.use({ sha });
    const clone = `${place.dataDir}/clone`;
    const told = await inMerged(
      tree,
      `place=$PWD/..; (${listing}) > $place/ours; git status --porcelain; rm -rf ${clone}; ` +
        `git -c protocol.file.allow=always clone --quiet ${place.origin.directory} ${clone}; ` +
        `cd ${clone}; (${listing}) > $place/theirs; diff $place/theirs $place/ours && echo same`,
    );
    expect({ round, told }).toEqual({ round, told: 'same' });
  }
  // Else this was no test of differences.
  expect(new Set(wholeTreesUsed(place)).size).toBe(1);
});

/** The whole trees that commits were laid over. */
function wholeTreesUsed({ dataDir }: { readonly dataDir: string }): string[] {
  const root = join(dataDir, 'sources');
  const names = readdirSync(root).map((key) => join(root, key, 'below'));
  return names.filter((name) => existsSync(name)).map((name) => readFileSync(name, 'utf8'));
}
