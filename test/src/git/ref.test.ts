import { describe, expect, test } from 'vitest';
import { CommandError, run } from '../../../runtime/command.ts';
import { GitRefError, parseBranch, parseRef, parseSha } from '../../../src/git/ref.ts';
import { createRandom } from '../../random.ts';
import { cleanGit } from '../../git/repository.ts';

test.each([
  'refs/heads/main',
  'refs/heads/feature/ünï-cödé',
  'refs/tags/v1.0',
  'refs/pull/7/head',
  'refs/heads/@',
])('%s is a ref', (text) => expect(parseRef(text)).toBe(text));

describe('what is no ref, and why', () => {
  test.each([
    ['', /below refs/],
    ['-', /below refs/],
    ['--output=x', /below refs/],
    ['main', /write one such as/],
    ['HEAD', /below refs/],
    ['refs/heads', /below refs/],
    ['/refs/heads/x', /below refs/],
    ['refs/heads/-x', /dash/],
    ['refs/heads/--output=x', /dash/],
    ['refs/../..', /'\.\.'/],
    ['refs/heads/../../config', /'\.\.'/],
    ['refs/heads/a..b', /'\.\.'/],
    ['refs/heads/a@{1}', /'@\{'/],
    ['refs/heads/', /empty/],
    ['refs//heads', /empty/],
    ['refs/heads/.x', /dot/],
    ['refs/heads/x.', /dot/],
    ['refs/heads/x.lock', /\.lock/],
    ['refs/heads/x.lock/y', /\.lock/],
    ['refs/heads/a b', /space/],
    ['refs/heads/a:b', /characters/],
    ['refs/heads/*', /characters/],
    ['+refs/heads/x', /below refs/],
    ['refs/heads/a\\b', /characters/],
    ['refs/heads/a\nb', /control/],
    ['refs/heads/a\0', /control/],
    ['refs/heads/a\u0085', /control/],
    ['refs/heads/\ud800', /Unicode/],
    [`refs/heads/${'x'.repeat(256)}`, /255/],
    [`refs/heads/${'x/'.repeat(5000)}x`, /1000/],
  ])('%j', (text, reason) => {
    expect(() => parseRef(text)).toThrow(GitRefError);
    expect(() => parseRef(text)).toThrow(reason);
  });
});

test('the short name of a branch', () => {
  expect(parseBranch('main')).toBe('refs/heads/main');
  expect(parseBranch('refs/heads/main')).toBe('refs/heads/main');
  // A branch may be called like this; it is still a branch, not a tag.
  expect(parseBranch('refs/tags/v1')).toBe('refs/heads/refs/tags/v1');
  expect(() => parseBranch('-x')).toThrow(GitRefError);
  expect(() => parseBranch('')).toThrow(GitRefError);
});

test('a commit is all of its digits', () => {
  const sha = 'A1'.repeat(20);
  expect(parseSha(sha)).toBe('a1'.repeat(20));
  expect(parseSha('b2'.repeat(32))).toBe('b2'.repeat(32));
  for (const text of [
    '',
    'HEAD',
    sha.slice(1),
    `${sha}0`,
    `-${sha.slice(1)}`,
    ` ${sha}`,
    `${sha}\n`,
    'g'.repeat(40),
  ]) {
    expect(() => parseSha(text), text).toThrow(GitRefError);
  }
});

test('git takes and refuses the same refs', { timeout: 60_000 }, async () => {
  const { between, pick } = createRandom(1);
  const pieces: [string, ...string[]] = [
    'a',
    'x',
    'b-',
    '-',
    '.',
    '..',
    '/',
    '//',
    '@',
    '{',
    '@{',
    '.lock',
    'lock',
  ];
  pieces.push(...' ~^:?*[]\\\x7f\tü%"}+'.split(''), 'heads/');
  for (let i = 0; i < 500; i++) {
    const tail = Array.from({ length: between(1, 5) }, () => pick(pieces)).join('');
    // Ours are stricter there; the tables above say so.
    if (tail.startsWith('-')) continue;
    const text = `refs/heads/${tail}`;
    const git = await run({ file: 'git', args: ['check-ref-format', text], env: cleanGit }).then(
      () => 'taken',
      (error: unknown) => (error instanceof CommandError ? 'refused' : error),
    );
    const ours = (() => {
      try {
        return parseRef(text) === text ? 'taken' : 'changed';
      } catch {
        return 'refused';
      }
    })();
    expect(ours, text).toBe(git);
  }
});
