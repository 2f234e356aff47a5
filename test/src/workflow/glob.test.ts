import { describe, expect, test } from 'vitest';
import { baseOf, compileGlob, type Dotfiles, GlobError } from '../../../src/workflow/glob.ts';

type Row = readonly [glob: string, matches: readonly string[], others: readonly string[]];

const both: readonly Row[] = [
  ['main', ['main'], ['mains', 'a/main', '']],
  ['*', ['main', 'a'], ['a/b']],
  ['*/*', ['a/b'], ['a', 'a/b/c']],
  ['**', ['a', 'a/b/c'], []],
  ['release/*', ['release/1.0'], ['release', 'release/1/2', 'prerelease/1']],
  ['release/**', ['release', 'release/1', 'release/1/2'], ['releases']],
  ['**/c', ['c', 'a/c', 'a/b/c'], ['ac', 'a/bc']],
  ['a/**/c', ['a/c', 'a/b/c', 'a/x/y/c'], ['a/bc', 'ac']],
  ['a**b', ['ab', 'axyb'], ['a/b']],
  ['v?.?', ['v1.2'], ['v1.', 'v12.3', 'v/.2']],
  ['[a-c]x', ['ax', 'cx'], ['dx', 'x']],
  ['[!a-c]x', ['dx'], ['ax', '/x']],
  ['[^a-c]x', ['dx'], ['ax']],
  ['[].]x', [']x'], ['ax']],
  ['{a,b/c}/d', ['a/d', 'b/c/d'], ['c/d']],
  ['{a,b{c,d}}', ['a', 'bc', 'bd'], ['b', 'ab']],
  ['a{,.txt}', ['a', 'a.txt'], ['a.']],
  ['a,b}', ['a,b}'], ['a']],
  ['a\\*b', ['a*b'], ['axb']],
  ['a.b', ['a.b'], ['axb']],
  ['gr??e+(x)$', ['größe+(x)$'], ['gröe+(x)$']],
  ['x😀?', ['x😀y', 'x😀😀'], ['x😀']],
  ['new*', ['new\nline'], []],
];
const dots: readonly [Dotfiles, Row][] = [
  ['any', ['*', ['.a'], []]],
  ['any', ['**', ['.a/.b'], []]],
  ['any', ['a/**/c', ['a/.x/c'], []]],
  ['explicit', ['*', ['a.b'], ['.a']]],
  ['explicit', ['.*', ['.a'], ['a']]],
  ['explicit', ['?a', ['ba'], ['.a']]],
  ['explicit', ['**', ['a/b'], ['.a', 'a/.b', '.a/b']]],
  ['explicit', ['a/**/c', ['a/b/c'], ['a/.b/c']]],
  ['explicit', ['{*,x}/y', ['a/y', 'x/y'], ['.a/y']]],
];
const rows = [...both.flatMap((row) => [['any', row] as const, ['explicit', row] as const]), ...dots];

test.each(rows)('%s dotfiles: %j', (dotfiles, [glob, matches, others]) => {
  const compiled = compileGlob(glob, dotfiles);
  expect(matches.filter((text) => !compiled(text))).toEqual([]);
  expect(others.filter(compiled)).toEqual([]);
});

test.each(['a{b', 'a[b', '[]', 'a\\', '{a,{b}'])('%s is refused', (glob) => {
  expect(() => compileGlob(glob, 'any')).toThrow(GlobError);
});

describe('takes linear time, also with what makes others backtrack', () => {
  test.each([
    '*a'.repeat(30) + 'b',
    '**/'.repeat(30) + 'b',
    '{a,aa}'.repeat(20) + 'b',
    '[a-a]*'.repeat(30) + 'b',
  ])('%s', (glob) => {
    const before = process.cpuUsage().user;
    expect(compileGlob(glob, 'explicit')('a'.repeat(5000))).toBe(false);
    expect(process.cpuUsage().user - before).toBeLessThan(5e6);
  });
});

test.each([
  ['dist/*', 'dist'],
  ['a/b.txt', 'a/b.txt'],
  ['**/c', ''],
  ['a/{b,c}/d', 'a'],
  ['\\[x\\]/y/?', '[x]/y'],
])('all that %s matches is in %j', (glob, base) => {
  expect(baseOf(glob)).toBe(base);
});

test('the short way of simple globs comes to the same as the long one', () => {
  const alphabet = ['a', 'b', '/', '.', 'a/', ''];
  const words = (length: number): string[] =>
    length === 0 ? [''] : words(length - 1).flatMap((word) => alphabet.map((letter) => word + letter));
  const texts = words(4);
  for (const before of words(2)) {
    for (const after of words(1)) {
      for (const stars of ['*', '**']) {
        const glob = `x${before}${stars}${after}`;
        // In brackets a letter means the same, and is not simple.
        const [short, long] = [glob, glob.replace('x', '[x]')].map((each) => compileGlob(each, 'any'));
        for (const text of texts) {
          if (short?.(`x${text}`) !== long?.(`x${text}`)) throw new Error(`${glob} and x${text}`);
        }
      }
    }
  }
});
