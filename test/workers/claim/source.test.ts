import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { holderFile } from '../../../runtime/host/holder.ts';
import { containBy } from '../../../runtime/images/contain.ts';
import type { Repository, RepositoryKeys } from '../../../src/repositories.ts';
import type { GitSource } from '../../../src/spec.ts';
import type { PullRequest, Trigger } from '../../../src/trigger.ts';
import { openStorage } from '../../../src/storage/storage.ts';
import { claimedSources } from '../../../workers/claim/source.ts';
import { layerCache } from '../../../workers/layer-cache.ts';
import { SourceError } from '../../../workers/source.ts';
import { uploadCache } from '../../../workers/uploads.ts';
import { type Workplace, wholeCheckout, workplace } from '../git/workplace.ts';

const keys: RepositoryKeys = {
  webhookSecrets: [],
  git: { kind: 'https', user: 'ci', password: 'pass-word' },
};
const auth = { user: 'ci', password: 'pass-word' };
const trigger: Trigger = { kind: 'manual' };
const waiting = { signal: new AbortController().signal, progress: () => {} };

/** Sources of a worker that knows one repository, `o/r`. */
function sourcesIn(place: Workplace, more: Partial<Repository> = {}) {
  const repository: Repository = {
    name: 'o/r',
    url: place.url,
    forge: 'generic',
    defaultBranch: 'main',
    events: [],
    untrusted: { builds: 'run', network: 'none', limits: {} },
    supersede: [],
    defaults: {},
    checkout: wholeCheckout,
    hosts: 'internal',
    crons: [],
    badge: 'private',
    createdAt: '2026-01-01T00:00:00Z',
    ...more,
  };
  const cache = layerCache({ dataDir: place.dataDir, capBytes: 1024 ** 3 });
  return claimedSources({
    storage: openStorage(`file:${join(place.dataDir, 'archive')}`),
    uploads: uploadCache(cache, containBy(holderFile)),
    git: place.sources,
    repositories: {
      get: async (name) => (name === repository.name ? repository : undefined),
      keys: async () => keys,
    },
  });
}

const sourceOf = (place: Workplace, more: Partial<GitSource> = {}): GitSource => ({
  kind: 'git',
  url: place.url,
  repository: 'o/r',
  repo: 'o/r',
  ref: 'refs/heads/main',
  ...more,
});

test('a build by its ref alone takes the commit of now, and its next attempt the same', async () => {
  await using place = await workplace({ auth });
  const sources = sourcesIn(place);
  const first = await place.origin.commit({ a: '1' });
  const spec = { source: sourceOf(place), trust: 'trusted', trigger } as const;
  const found = await sources.of(spec, undefined, waiting);
  expect(found.build.git).toEqual({ sha: first, ref: 'main' });
  const next = await place.origin.commit({ a: '2' });
  expect((await sources.of(spec, first, waiting)).build).toEqual(found.build);
  expect((await sources.of(spec, undefined, waiting)).build.git).toEqual({ sha: next, ref: 'main' });
});

test.each<[string, Partial<GitSource>, Partial<Repository>, RegExp]>([
  [
    'that is registered elsewhere now',
    {},
    { url: 'https://other.example/o/r' },
    /is at https:\/\/other.example\/o\/r now; submit it again/,
  ],
  ['that is not registered any more', { repository: 'gone' }, {}, /gone is not registered any more/],
])('a repository %s gets no credentials, nor is it asked', async (_, source, repository, message) => {
  await using place = await workplace({ auth });
  await place.origin.commit({ a: '1' });
  const spec = { source: sourceOf(place, source), trust: 'trusted', trigger } as const;
  const build = sourcesIn(place, repository).of(spec, undefined, waiting);
  await expect(build).rejects.toThrow(SourceError);
  await expect(build).rejects.toThrow(message);
  expect(place.server.requests).toEqual([]);
});

test('an unknown repository is fetched as anybody may, and not from a private network', async () => {
  await using place = await workplace();
  const { repository: _, ...source } = sourceOf(place);
  const build = sourcesIn(place).of({ source, trust: 'trusted', trigger }, undefined, waiting);
  await expect(build).rejects.toMatchObject({ name: 'SourceError', trouble: 'unusable' });
  expect(place.server.requests).toEqual([]);
});

test('the workflow of another commit is read without its tree; none is undefined, and so is one that is a symlink', async () => {
  await using place = await workplace({ auth });
  const sources = sourcesIn(place);
  const at = async (files: Parameters<Workplace['origin']['commit']>[0]) => {
    const sha = await place.origin.commit(files);
    return await sources.workflowsAt(sourceOf(place), { ref: 'refs/heads/main', sha });
  };
  expect(await at({ a: '1' })).toBeUndefined();
  expect(await at({ '.cofferdam.yaml': 'image: x\n' })).toEqual([
    { file: '.cofferdam.yaml', text: 'image: x\n' },
  ]);
  expect(await at({ '.cofferdam.yaml': { symlink: '/etc/passwd' } })).toBeUndefined();
});

test('the workflows of a build are files of its commit', async () => {
  await using place = await workplace({ auth });
  await place.origin.commit({
    '.cofferdam/b.yaml': 'image: b\n',
    '.cofferdam/a.yml': 'image: a\n',
    '.woodpecker.yaml': 'image: no\n',
  });
  const { workflows } = await sourcesIn(place).of(
    { source: sourceOf(place), trust: 'trusted', trigger },
    undefined,
    waiting,
  );
  expect(await workflows?.()).toEqual([
    { file: '.cofferdam/a.yml', text: 'image: a\n' },
    { file: '.cofferdam/b.yaml', text: 'image: b\n' },
  ]);
});

describe('the files that a build changes are', () => {
  const changedBy = async (place: Workplace, by: Trigger, sha: string) => {
    const spec = { source: sourceOf(place, { sha }), trust: 'trusted', trigger: by } as const;
    return await (await sourcesIn(place).of(spec, undefined, waiting)).changed();
  };
  const push = (before: string): Trigger => ({ kind: 'push', branch: 'main', before });

  test('of a push what differs from where the branch was, deleted ones too', async () => {
    await using place = await workplace({ auth });
    const before = await place.origin.commit({ a: '1', 'dir/b': '1', gone: '1' });
    const sha = await place.origin.commit({ a: '1', 'dir/b': '2', 'dir/ü\n': '1', gone: null });
    expect((await changedBy(place, push(before), sha))?.toSorted()).toEqual(['dir/b', 'dir/ü\n', 'gone']);
  });

  test('of a pull request what differs from what it has in common with its target', async () => {
    await using place = await workplace({ auth });
    const common = await place.origin.commit({ a: '1' });
    await place.origin.git('branch', 'topic', common);
    const baseSha = await place.origin.commit({ theirs: '1' });
    const sha = await place.origin.commit({ ours: '1' }, { branch: 'topic' });
    const pullRequest: PullRequest = {
      number: 1,
      sourceBranch: 'topic',
      targetBranch: 'main',
      from: { kind: 'same-repository' },
      baseSha,
    };
    expect(await changedBy(place, { kind: 'pull_request', pullRequest }, sha)).toEqual(['ours']);
  });

  test.each<[string, Trigger]>([
    ['a branch that is new', push('0'.repeat(40))],
    ['a branch of which a force push took the commit', push('1'.repeat(40))],
    ['what is no commit', push('--output=/tmp/x')],
    ['a build by hand', { kind: 'manual' }],
  ])('not known of %s', async (_, by) => {
    await using place = await workplace({ auth });
    const sha = await place.origin.commit({ a: '1' });
    expect(await changedBy(place, by, sha)).toBeUndefined();
  });
});
