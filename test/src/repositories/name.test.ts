import { describe, expect, test } from 'vitest';
import { parseGitUrl } from '../../../src/git/url.ts';
import { nameOfUrl, parseRepositoryName, RepositoryNameError } from '../../../src/repositories/name.ts';

describe('a name of a repository', () => {
  test.for(['app', 'acme/app', 'a/b/c/d/e/f/g/h', 'A.b_c-9/_x', '0', `${'w'.repeat(199)}a`])(
    '%.40s',
    (name) => {
      expect(parseRepositoryName(name)).toBe(name);
    },
  );

  test.for([
    '',
    '/',
    'acme/',
    '/acme',
    'acme//app',
    '.acme/app',
    'acme/.app',
    'acme/..',
    '-acme',
    'acme/-app',
    'acme app',
    'acme\napp',
    'acmé',
    'acme:app',
    'acme%2Fapp',
    'a/b/c/d/e/f/g/h/i',
    'w'.repeat(201),
  ])('is not %j', (name) => {
    expect(() => parseRepositoryName(name)).toThrow(RepositoryNameError);
    expect(() => parseRepositoryName(name)).toThrow(/cannot name a repository; use up to 8 parts/);
  });
});

test.for<[string, string]>([
  ['https://github.com/acme/app.git', 'acme/app'],
  ['https://git.example.org/app/', 'app'],
  ['git@gitlab.com:group/sub/app.git', 'group/sub/app'],
  ['ssh://git@example.org:2222/~/app.git', 'app'],
  ['https://example.org/scm/ACME/App.GIT', 'scm/ACME/App'],
])('%s is %s by default', ([url, name]) => {
  expect(nameOfUrl(parseGitUrl(url, { hosts: 'public' }))).toBe(name);
});

test.for(['https://example.org/~user/app', 'https://example.org/a%20b', 'https://example.org/a/.git'])(
  '%s tells none',
  (url) => {
    expect(() => nameOfUrl(parseGitUrl(url, { hosts: 'public' }))).toThrow(RepositoryNameError);
  },
);
