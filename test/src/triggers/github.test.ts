import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { PayloadError } from '../../../src/triggers/forge.ts';
import { forgeOf } from '../../../src/triggers/forges.ts';
import { a, b, githubPush, makeRepository, read, signed, zeros } from './samples.ts';

interface Example {
  readonly action?: string;
  readonly ref?: string;
}

/** GitHub's own payloads, of all its events. */
const published: readonly { readonly name: string; readonly examples: readonly Example[] }[] = JSON.parse(
  readFileSync(new URL(import.meta.resolve('@octokit/webhooks-examples')), 'utf8'),
);
const hello = makeRepository({ name: 'hello', url: 'https://github.com/Codertocat/Hello-World.git' });
const examplesOf = (name: string) => published.find((each) => each.name === name)?.examples ?? [];

describe("GitHub's own examples", () => {
  test('of every event are read, and only pushes and pull requests make builds', () => {
    const building = new Set<string>();
    for (const { name, examples } of published) {
      for (const example of examples) {
        const [event, ...more] = read('github', name, example, hello);
        expect(more).toEqual([]);
        if (event?.kind === 'build') building.add(name);
        else expect(event?.reason).toMatch(/\w/);
      }
    }
    expect(building).toEqual(new Set(['push', 'pull_request']));
    expect(published.length).toBeGreaterThan(50);
  });

  test('of a push to a branch and to a tag', () => {
    const of = (ref: string) =>
      examplesOf('push')
        .filter((each) => each.ref === ref)
        .flatMap((each) => read('github', 'push', each, hello));
    const about = {
      actor: 'Codertocat',
      at: '2019-05-15T15:20:57.000Z',
      url: expect.stringContaining('https://github.com/Codertocat/Hello-World/commit/'),
    };
    const sha = '6113728f27ae82c7b1a177c8d03f9e96e0adf246';
    expect(of('refs/heads/master')[0]).toEqual({
      kind: 'build',
      trust: 'trusted',
      source: { ref: 'refs/heads/master', sha },
      trigger: {
        kind: 'push',
        branch: 'master',
        ...about,
        commit: {
          message: 'Initial commit',
          author: 'Codertocat',
          email: '21031067+Codertocat@users.noreply.github.com',
        },
      },
    });
    const tags = of('refs/tags/simple-tag');
    expect(tags.find(({ kind }) => kind === 'build')).toMatchObject({
      source: { ref: 'refs/tags/simple-tag', sha },
      trigger: { kind: 'tag', tag: 'simple-tag' },
    });
    expect(tags).toContainEqual({ kind: 'ignored', reason: 'refs/tags/simple-tag was deleted' });
  });

  test('of a pull request that was opened', () => {
    const opened = examplesOf('pull_request').find(({ action }) => action === 'opened');
    expect(read('github', 'pull_request', opened, hello)).toEqual([
      {
        kind: 'build',
        trust: 'trusted',
        source: {
          ref: 'refs/pull/2/head',
          sha: 'ec26c3e57ca3a959ca5aad62de7213c562f8c821',
          base: { ref: 'refs/heads/master', sha: 'f95f852bd8fca8fcc58a9a2d6c842781e32a215e' },
        },
        trigger: {
          kind: 'pull_request',
          actor: 'Codertocat',
          at: '2019-05-15T15:20:33.000Z',
          url: 'https://github.com/Codertocat/Hello-World/pull/2',
          pullRequest: {
            number: 2,
            title: 'Update the README with new information.',
            labels: [],
            sourceBranch: 'changes',
            targetBranch: 'master',
            from: { kind: 'same-repository' },
            baseSha: 'f95f852bd8fca8fcc58a9a2d6c842781e32a215e',
          },
        },
      },
    ]);
  });

  test('of pull requests: those with something new make builds, also drafts', () => {
    const actions = examplesOf('pull_request').map((example) => [
      example.action,
      read('github', 'pull_request', example, hello)[0]?.kind,
    ]);
    const building = actions.filter(([, kind]) => kind === 'build').map(([action]) => action);
    expect(new Set(building)).toEqual(new Set(['opened', 'reopened', 'synchronize', 'ready_for_review']));
    expect(actions).toContainEqual(['closed', 'ignored']);
  });

  test.each(['ping', 'create', 'delete', 'fork', 'release'])('of %s make no builds', (event) => {
    for (const example of examplesOf(event)) {
      expect(read('github', event, example, hello)).toEqual([
        { kind: 'ignored', reason: expect.any(String) },
      ]);
    }
  });
});

describe('a push', () => {
  test.each<[string, object, object]>([
    ['is built', {}, { kind: 'build', source: { ref: 'refs/heads/main', sha: b }, trigger: { before: a } }],
    ['of a branch at an old commit is built', { before: zeros, commits: [] }, { kind: 'build' }],
    [
      'of a branch has no commit before',
      { before: zeros },
      { trigger: expect.not.objectContaining({ before: zeros }) },
    ],
    ['back to an old commit is built', { forced: true, commits: [] }, { kind: 'build' }],
    ['of nothing is ignored', { before: b }, { reason: 'refs/heads/main is where it was' }],
    [
      'that deletes is ignored',
      { after: zeros, head_commit: null },
      { reason: 'refs/heads/main was deleted' },
    ],
    [
      'of notes is ignored',
      { ref: 'refs/notes/commits' },
      { reason: expect.stringContaining('neither a branch nor a tag') },
    ],
    [
      'of a branch that is an option is ignored',
      { ref: 'refs/heads/--output=x' },
      { reason: expect.stringContaining('is no ref') },
    ],
    [
      'of a ref with .. is ignored',
      { ref: 'refs/heads/../../x' },
      { reason: expect.stringContaining('is no ref') },
    ],
    [
      'of an annotated tag builds its commit',
      { ref: 'refs/tags/v1', after: a },
      { source: { ref: 'refs/tags/v1', sha: b }, trigger: { kind: 'tag', tag: 'v1' } },
    ],
    ['of a branch with slashes is built', { ref: 'refs/heads/a/b' }, { trigger: { branch: 'a/b' } }],
    [
      'of another repository is ignored',
      { repository: { full_name: 'octo/other' } },
      { reason: expect.stringContaining('octo/other') },
    ],
    [
      'of the repository in other case is built',
      { repository: { full_name: 'Octo/HELLO' } },
      { kind: 'build' },
    ],
    [
      'without sender and times is built',
      { sender: null, compare: undefined, repository: { full_name: 'octo/hello' } },
      { kind: 'build' },
    ],
  ])('%s', (_what, change, expected) => {
    expect(read('github', 'push', githubPush(change))).toHaveLength(1);
    expect(read('github', 'push', githubPush(change))[0]).toMatchObject(expected);
  });

  test.each(['[skip ci]', 'x [ci skip] y', '[no ci]', '[SKIP CI]', 'a\n\n[ci-skip]'])(
    'that says %j is ignored',
    (message) => {
      const event = read('github', 'push', githubPush({ head_commit: { id: b, message } }));
      expect(event).toEqual([
        { kind: 'ignored', reason: expect.stringContaining("the commit's message says [") },
      ]);
    },
  );

  test.each(['skip ci', '[skip] ci', '[ci]', '[skip city]'])('that says %j is built', (message) => {
    expect(read('github', 'push', githubPush({ head_commit: { id: b, message } }))[0]?.kind).toBe('build');
  });

  test.each<[string, unknown, string]>([
    ['no ref', { ...githubPush(), ref: undefined }, 'ref is missing'],
    ['a short commit', githubPush({ after: 'abc' }), 'after must match'],
    ['a commit that is an option', githubPush({ after: '--output=x' }), 'after must match'],
    ['no repository name', githubPush({ repository: {} }), 'repository.full_name is missing'],
    ['nothing', null, 'the payload must be object'],
    ['no JSON', '{', 'the body is no JSON'],
  ])('with %s is a PayloadError that says so', (_what, payload, message) => {
    expect(() => read('github', 'push', payload)).toThrow(PayloadError);
    expect(() => read('github', 'push', payload)).toThrow(message);
  });

  test('comes as a form as well', () => {
    const message = signed(
      'github',
      new URLSearchParams({ payload: JSON.stringify(githubPush()) }).toString(),
      's',
    );
    const form = { ...message.headers, 'content-type': 'application/x-www-form-urlencoded' };
    expect(forgeOf('github').read({ ...message, headers: form }, makeRepository())[0]?.kind).toBe('build');
  });
});

describe('a pull request', () => {
  const pull = (change: object = {}, head: object = {}) => ({
    action: 'synchronize',
    number: 7,
    pull_request: {
      title: 'More',
      head: {
        ref: 'main',
        sha: b,
        repo: { id: 2, clone_url: 'https://git.example.org/eve/hello.git' },
        ...head,
      },
      base: { ref: 'main', sha: a, repo: { id: 1 } },
      ...change,
    },
    repository: { full_name: 'octo/hello' },
    sender: { login: 'eve' },
  });

  test('from a fork is untrusted, whatever its branch is called', () => {
    expect(read('github', 'pull_request', pull())[0]).toMatchObject({
      trust: 'untrusted',
      source: { ref: 'refs/pull/7/head', sha: b, base: { ref: 'refs/heads/main', sha: a } },
      trigger: {
        pullRequest: { from: { kind: 'fork', url: 'https://git.example.org/eve/hello.git' } },
      },
    });
  });

  test.each<[string, object, string]>([
    ['of the same repository', { repo: { id: 1 } }, 'trusted'],
    ['of a repository that took over the name', { repo: { id: 3, full_name: 'octo/hello' } }, 'untrusted'],
    ['of a fork that is gone', { repo: null }, 'untrusted'],
    ['that does not say of which repository', { repo: undefined }, 'untrusted'],
  ])('%s', (_what, head, trust) => {
    expect(read('github', 'pull_request', pull({}, head))[0]).toMatchObject({ trust });
  });

  test('never gives the fork as what is fetched', () => {
    const [event] = read('github', 'pull_request', pull());
    expect(JSON.stringify(event?.kind === 'build' && event.source)).not.toContain('eve');
  });

  test('that says [skip ci] in its title is ignored', () => {
    expect(read('github', 'pull_request', pull({ title: 'Docs [skip ci]' }))[0]).toMatchObject({
      reason: 'the pull request says [skip ci]',
    });
  });
});

test.each(['constructor', '__proto__', 'toString', ''])(
  'an event that is called %j makes no build',
  (event) => {
    for (const kind of ['github', 'gitlab', 'gitea', 'forgejo', 'bitbucket'] as const) {
      expect(read(kind, event, {})).toEqual([
        { kind: 'ignored', reason: expect.stringContaining(`'${event}'`) },
      ]);
    }
  },
);
