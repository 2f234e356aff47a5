import { hostname } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ShownBuild } from '../../src/client.ts';
import { createGitea, type Gitea } from './gitea.ts';
import { createSite, endOf, type Site } from './site.ts';

/** One step for each kind of condition, and workflows that are for some events only. */
const workflows = {
  '.cofferdam/steps.yaml': `image: tiny
steps:
  - { name: variables, commands: export -p }
  - { name: push, when: { event: push }, commands: 'true' }
  - { name: pull or tag, when: [{ event: pull_request }, { event: [tag, release] }], commands: 'true' }
  - { name: main, when: { branch: main }, commands: 'true' }
  - { name: releases, when: { branch: { include: release/*, exclude: release/1.1.* } }, commands: 'true' }
  - { name: ref, when: { ref: [refs/tags/v*, refs/pull/*/head] }, commands: 'true' }
  - { name: tag, when: { tag: v2.* }, commands: 'true' }
  - { name: path, when: { path: 'src/**' }, commands: 'true' }
  - name: path but
    when: { path: { include: ['src/**', '*.md'], exclude: '*.md', ignore_message: '[all]', on_empty: false } }
    commands: 'true'
  - { name: nightly, when: { event: cron, cron: night* }, commands: 'true' }
  - { name: weekly, when: { event: cron, cron: weekly }, commands: 'true' }
  - { name: labelled, when: { evaluate: 'CI_COMMIT_PULL_REQUEST_LABELS contains "deploy"' }, commands: 'true' }
  - { name: repo, when: { repo: other/* }, commands: 'true' }
  - { name: platform, when: { platform: windows/* }, commands: 'true' }
  - { name: instance, when: { event: manual, instance: ci.example.org }, commands: 'true' }
  - { name: trouble, when: { event: manual, status: failure }, commands: 'true' }
`,
  '.cofferdam/by-hand.yaml': `image: tiny
when: { event: manual, branch: main }
matrix: { A: [1, "1.10"] }
steps:
  - { name: both, commands: 'true' }
  - { name: one, when: { matrix: { A: "1.10" } }, commands: 'true' }
`,
  '.cofferdam/ship.yaml': `image: tiny
when: { event: tag, ref: refs/tags/v* }
depends_on: [steps, { name: by-hand, optional: true }]
steps: [{ name: ship, commands: 'true' }]
`,
  '.cofferdam/after.yaml': `image: tiny
depends_on: ship
steps: [{ name: after, commands: 'true' }]
`,
};

let site: Site;
let gitea: Gitea;
let first: string;
beforeAll(async () => {
  site = await createSite();
  gitea = await createGitea(site);
  const { origin } = gitea;
  first = await origin.commit({ ...workflows, 'src/a': '1', 'readme.md': '1' });
  for (const branch of ['release/1.0', 'release/1.1.3']) await origin.git('branch', branch, first);
  await site.up({ COFFERDAM_PUBLIC_URL: 'https://ci.example.org' });
  await gitea.register();
});
afterAll(async () => {
  await gitea[Symbol.asyncDispose]();
  await site[Symbol.asyncDispose]();
});

const push = (...args: Parameters<Gitea['deliver']['push']>) => gitea.deliver.push(...args);
const tag = (name: string) => gitea.deliver.tag(name, first);
const pull = (number: number, from: 'own' | 'fork', labels?: readonly string[]) =>
  gitea.deliver.pull(number, from, first, labels);

async function command(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await site.command(...args);
  expect(code, stderr).toBe(0);
  return stdout.trim();
}

/** A run of a cron job of the branch of releases. */
async function cron(name: string): Promise<string> {
  const schedule = ['--schedule', '0 3 1 1 *', '--branch', 'release/1.0'];
  await command('repo', 'cron', 'add', 'team/app', name, ...schedule);
  return await command('repo', 'cron', 'run', 'team/app', name);
}

const byHand = (ref: string) => command('submit', '--repo', 'team/app', '--ref', ref);

/** What is in a build, by workflow; what did not pass has its status. */
function parts({ workflows: all }: ShownBuild): Record<string, string> {
  const word = ({ name, status }: { name: string; status: string }) =>
    status === 'passed' ? name : `${name} (${status})`;
  return Object.fromEntries(all.map((each) => [word(each), each.steps.map(word).join(', ')]));
}

test.for<[string, () => Promise<string>, string, Record<string, string>?]>([
  ['a push to main', () => push('main', 'src/a'), 'push, main, path, path but'],
  ['a push of what a path excludes', () => push('main', 'readme.md'), 'push, main'],
  ['the same with the word for all paths', () => push('main', 'other', 'Now [ALL]'), 'push, main, path but'],
  ['a push that changes nothing', () => push('main', undefined), 'push, main, path'],
  ['a push to another branch', () => push('release/1.0', 'src/a'), 'push, releases, path, path but'],
  ['a push to one that is excluded', () => push('release/1.1.3', 'other'), 'push'],
  [
    'a pull request',
    () => pull(1, 'own', ['x', 'deploy']),
    'pull or tag, main, ref, path, path but, labelled',
  ],
  ['one of a fork', () => pull(2, 'fork'), 'pull or tag, main, ref, path, path but'],
  [
    'a tag',
    () => tag('v2.0'),
    'pull or tag, main, releases, ref, tag, path, path but',
    { ship: 'ship', after: 'after' },
  ],
  ['a tag of another name', () => tag('old'), 'pull or tag, main, releases, path, path but'],
  ['a cron job', () => cron('nightly'), 'releases, path, path but, nightly'],
  ['another cron job', () => cron('weekly'), 'releases, path, path but, weekly'],
  [
    'a build by hand',
    () => byHand('main'),
    'main, path, path but, instance, trouble (skipped)',
    { 'by-hand (A=1)': 'both', 'by-hand (A=1.10)': 'both, one' },
  ],
  [
    'a build of a branch by hand',
    () => byHand('release/1.1.3'),
    'path, path but, instance, trouble (skipped)',
  ],
])('%s runs the workflows and steps that are for it', async ([, make, steps, more]) => {
  const build = await endOf(site, await make());
  expect(build, build.message).toMatchObject({ status: 'passed' });
  expect(parts(build)).toEqual({ steps: `variables, ${steps}`, ...more });
});

/** The variables that tell of an event, as the first step saw them. */
async function variables(id: string): Promise<Record<string, string>> {
  const log = await site.get(`/v1/builds/${id}/logs`);
  const lines = log.matchAll(/^export (CI_(?:COMMIT|PREV|PIPELINE_EVENT|PIPELINE_AUTHOR)\w*)='(.*)'$/gm);
  return Object.fromEntries([...lines].map(([, name = '', value = '']) => [name, value]));
}

const annsCommit = { CI_COMMIT_AUTHOR: 'Ann', CI_COMMIT_AUTHOR_EMAIL: 'ann@example.org' };
/** The name of the token. */
const author = `admin of ${hostname()}`;
const ofPull = {
  CI_PIPELINE_EVENT: 'pull_request',
  CI_PIPELINE_AUTHOR: 'ann',
  CI_COMMIT_BRANCH: 'main',
  CI_COMMIT_SOURCE_BRANCH: 'topic',
  CI_COMMIT_TARGET_BRANCH: 'main',
  CI_COMMIT_REFSPEC: 'topic:main',
};

test.for<[string, () => Promise<string>, Record<string, string>]>([
  [
    'a push',
    () => push('release/1.0', 'src/a', 'Say "hi"'),
    {
      ...annsCommit,
      CI_PIPELINE_EVENT: 'push',
      CI_PIPELINE_AUTHOR: 'ann',
      CI_COMMIT_BRANCH: 'release/1.0',
      CI_COMMIT_REF: 'refs/heads/release/1.0',
      CI_COMMIT_MESSAGE: 'Say "hi"',
      CI_PREV_COMMIT_SHA: 'its parent',
      CI_PREV_COMMIT_BRANCH: 'release/1.0',
      CI_PREV_COMMIT_REF: 'refs/heads/release/1.0',
    },
  ],
  [
    'a tag',
    () => tag('v2.1'),
    {
      CI_PIPELINE_EVENT: 'tag',
      CI_PIPELINE_AUTHOR: 'ann',
      CI_COMMIT_TAG: 'v2.1',
      CI_COMMIT_REF: 'refs/tags/v2.1',
      CI_COMMIT_MESSAGE: 'Release it',
    },
  ],
  [
    'a pull request',
    () => pull(3, 'own', ['deploy', 'x']),
    {
      ...ofPull,
      CI_COMMIT_PULL_REQUEST: '3',
      CI_COMMIT_PULL_REQUEST_LABELS: 'deploy,x',
      CI_COMMIT_REF: 'refs/pull/3/head',
    },
  ],
  [
    'a pull request of a fork',
    () => pull(4, 'fork'),
    { ...ofPull, CI_COMMIT_PULL_REQUEST: '4', CI_COMMIT_REF: 'refs/pull/4/head' },
  ],
  [
    'a cron job',
    () => cron('nightly'),
    {
      CI_PIPELINE_EVENT: 'cron',
      CI_PIPELINE_AUTHOR: author,
      CI_COMMIT_BRANCH: 'release/1.0',
      CI_COMMIT_REF: 'refs/heads/release/1.0',
    },
  ],
  [
    'a build by hand',
    () => byHand('main'),
    {
      CI_PIPELINE_EVENT: 'manual',
      CI_PIPELINE_AUTHOR: author,
      CI_COMMIT_BRANCH: 'main',
      CI_COMMIT_REF: 'refs/heads/main',
    },
  ],
  [
    'a build of a tag by hand',
    () => byHand('refs/tags/v2.1'),
    {
      CI_PIPELINE_EVENT: 'manual',
      CI_PIPELINE_AUTHOR: author,
      CI_COMMIT_TAG: 'v2.1',
      CI_COMMIT_REF: 'refs/tags/v2.1',
    },
  ],
])('the variables of %s tell of it, and of nothing else', async ([, make, expected]) => {
  const build = await endOf(site, await make());
  const { sha = '' } = build.source;
  const told = { ...expected, CI_COMMIT_SHA: sha };
  if ('CI_PREV_COMMIT_SHA' in told) told.CI_PREV_COMMIT_SHA = await gitea.origin.git('rev-parse', `${sha}^`);
  expect(await variables(build.id)).toEqual(told);
});

test('a build of a fork is untrusted, one of the repository itself is not', async () => {
  const of = async (from: 'own' | 'fork') =>
    (await endOf(site, await pull(from === 'own' ? 5 : 6, from))).trust;
  expect([await of('own'), await of('fork')]).toEqual(['trusted', 'untrusted']);
});
