import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { holderFile } from '../../runtime/host/holder.ts';
import { containBy } from '../../runtime/images/contain.ts';
import type { Repository, RepositoryKeys } from '../../src/repositories.ts';
import type { GitSource } from '../../src/spec.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { claimedSources } from '../../workers/claimed-source.ts';
import { layerCache } from '../../workers/layer-cache.ts';
import { SourceError } from '../../workers/source.ts';
import { uploadCache } from '../../workers/uploads.ts';
import { type Workplace, wholeCheckout, workplace } from './git/workplace.ts';

const keys: RepositoryKeys = {
  webhookSecrets: [],
  git: { kind: 'https', user: 'ci', password: 'pass-word' },
};
const auth = { user: 'ci', password: 'pass-word' };
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
  const spec = { source: sourceOf(place), trust: 'trusted' } as const;
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
  const spec = { source: sourceOf(place, source), trust: 'trusted' } as const;
  const build = sourcesIn(place, repository).of(spec, undefined, waiting);
  await expect(build).rejects.toThrow(SourceError);
  await expect(build).rejects.toThrow(message);
  expect(place.server.requests).toEqual([]);
});

test('an unknown repository is fetched as anybody may, and not from a private network', async () => {
  await using place = await workplace();
  const { repository: _, ...source } = sourceOf(place);
  const build = sourcesIn(place).of({ source, trust: 'trusted' }, undefined, waiting);
  await expect(build).rejects.toMatchObject({ name: 'SourceError', trouble: 'unusable' });
  expect(place.server.requests).toEqual([]);
});

test('the workflow of another commit is read without its tree; none is undefined, and so is one that is a symlink', async () => {
  await using place = await workplace({ auth });
  const sources = sourcesIn(place);
  const at = async (files: Parameters<Workplace['origin']['commit']>[0]) => {
    const sha = await place.origin.commit(files);
    return await sources.workflowAt(sourceOf(place), { ref: 'refs/heads/main', sha });
  };
  expect(await at({ a: '1' })).toBeUndefined();
  expect(await at({ '.cofferdam.yaml': 'image: x\n' })).toBe('image: x\n');
  expect(await at({ '.cofferdam.yaml': { symlink: '/etc/passwd' } })).toBeUndefined();
});

test('the workflows of a build are files of its commit', async () => {
  await using place = await workplace({ auth });
  await place.origin.commit({ '.cofferdam.yaml': 'image: x\n' });
  const { workflows = '' } = await sourcesIn(place).of(
    { source: sourceOf(place), trust: 'trusted' },
    undefined,
    waiting,
  );
  expect(readFileSync(join(workflows, '.cofferdam.yaml'), 'utf8')).toBe('image: x\n');
});
