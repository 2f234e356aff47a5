import { readFileSync } from 'node:fs';
import { parseRef } from '../../../src/git/ref.ts';
import { type ForgeKind, forges } from '../../../src/repositories.ts';
import { type ForgeEvent, type Message, PayloadError } from '../../../src/triggers/forge.ts';
import { forgeOf } from '../../../src/triggers/forges.ts';
import { intake } from '../../../src/triggers/intake.ts';
import { a, b, githubPush, makeRepository, signed } from '../../src/triggers/samples.ts';
import { damage, mutateText, oddities, oneOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

interface Delivery {
  readonly kind: ForgeKind;
  readonly event: string;
  readonly body: string;
  readonly form: boolean;
}

const repository = { id: 1, full_name: 'octo/hello', clone_url: 'https://git.example.org/octo/hello.git' };
const fork = { id: 2, full_name: 'eve/hello', clone_url: 'https://git.example.org/eve/hello.git' };
const commit = { id: b, message: 'Say hello', author: { name: 'Ann', email: 'ann@example.org' } };
const pull = (from: object) => ({
  action: 'opened',
  number: 7,
  pull_request: {
    title: 'More',
    html_url: 'https://git.example.org/octo/hello/pulls/7',
    updated_at: '2024-05-01T10:00:00+02:00',
    labels: [{ name: 'docs' }],
    head: { ref: 'x', sha: b, repo_id: 2, repo: from },
    base: { ref: 'main', sha: a, repo_id: 1, repo: repository },
  },
  repository,
  sender: { login: 'eve' },
});
const gitlabProject = { id: 15, path_with_namespace: 'octo/hello', git_http_url: repository.clone_url };
const cloudRepository = { full_name: 'octo/hello', uuid: '{1}' };
const cloudRef = {
  type: 'branch',
  name: 'main',
  target: { hash: b, message: 'a', author: { raw: 'Ann <a@b>' } },
};
const dataCenterRepository = { id: 1684, slug: 'hello', project: { key: 'octo' }, links: { clone: [] } };
const examples: readonly { readonly name: string; readonly examples: readonly unknown[] }[] = JSON.parse(
  readFileSync(new URL(import.meta.resolve('@octokit/webhooks-examples')), 'utf8'),
);
const exampleOf = (event: string) => examples.find(({ name }) => name === event)?.examples[0];

/** What each forge sends, by its name of the event. */
const payloads: Readonly<Record<ForgeKind, readonly (readonly [event: string, payload: unknown])[]>> = {
  github: [
    ['push', githubPush()],
    ['push', exampleOf('push')],
    ['pull_request', exampleOf('pull_request')],
    ['pull_request', pull(fork)],
    ['pull_request', pull(repository)],
  ],
  gitea: [
    ['push', { ...githubPush(), commits: [commit], pusher: { login: 'ann' } }],
    ['pull_request', pull(fork)],
    ['pull_request', pull(repository)],
  ],
  forgejo: [
    ['push', { ...githubPush(), commits: [commit] }],
    ['pull_request', pull(fork)],
  ],
  gitlab: [
    [
      'Push Hook',
      {
        ...githubPush(),
        checkout_sha: b,
        project_id: 15,
        project: gitlabProject,
        commits: [commit],
        user_username: 'ann',
      },
    ],
    [
      'Tag Push Hook',
      { ...githubPush({ ref: 'refs/tags/v1' }), checkout_sha: b, project: gitlabProject, commits: [] },
    ],
    [
      'Merge Request Hook',
      {
        user: { username: 'root' },
        project: gitlabProject,
        object_attributes: {
          iid: 7,
          target_branch: 'main',
          source_branch: 'x',
          source_project_id: 15,
          target_project_id: 15,
          title: 'T',
          updated_at: '2022-01-17 15:47:39 UTC',
          source: { git_http_url: fork.clone_url },
          last_commit: commit,
          action: 'open',
        },
        labels: [{ title: 'API' }],
      },
    ],
  ],
  bitbucket: [
    [
      'repo:push',
      {
        actor: { nickname: 'a' },
        repository: cloudRepository,
        push: { changes: [{ old: null, new: cloudRef }] },
      },
    ],
    [
      'pullrequest:created',
      {
        actor: { nickname: 'a' },
        repository: cloudRepository,
        pullrequest: {
          id: 4,
          title: 'More',
          source: { branch: { name: 'x' }, commit: { hash: b }, repository: cloudRepository },
          destination: {
            branch: { name: 'main' },
            commit: { hash: 'ce5965ddd289' },
            repository: cloudRepository,
          },
        },
      },
    ],
    [
      'repo:refs_changed',
      {
        actor: { name: 'ann' },
        repository: dataCenterRepository,
        changes: [
          {
            ref: { id: 'refs/heads/main' },
            refId: 'refs/heads/main',
            fromHash: a,
            toHash: b,
            type: 'UPDATE',
          },
        ],
      },
    ],
    [
      'pr:opened',
      {
        actor: { name: 'eve' },
        pullRequest: {
          id: 114,
          title: 'testing',
          fromRef: { id: 'refs/heads/x', displayId: 'x', latestCommit: b, repository: dataCenterRepository },
          toRef: {
            id: 'refs/heads/main',
            displayId: 'main',
            latestCommit: a,
            repository: dataCenterRepository,
          },
        },
      },
    ],
  ],
  generic: [
    [
      '',
      { actor: 'ann', refs: [{ ref: 'refs/heads/main', before: a, after: b, message: 'Hi', author: 'Ann' }] },
    ],
  ],
};
const pieces = [
  ...words('{ } [ ] " , : null \\u0000 \\ud800 "__proto__": 1e999 [[[[ % &payload='),
  ...oddities,
];

/** What forges send, once it is known to be genuine. */
export const webhooks: Target<Delivery> = {
  name: 'webhooks',
  promise: 'a delivery makes builds of full commits and proper refs, a reason, or a PayloadError with words',
  rounds: 4000,
  outcomes: ['build', 'ignored', 'refused'],
  cases: [],
  open: () => ({
    make: (random) => {
      const kind = oneOf(random, forges);
      const [event, payload] = oneOf(random, payloads[kind]);
      const body = JSON.stringify(damage(random, payload, 0.02)) ?? '';
      const damaged = random.chance(0.2) ? mutateText(random, body, pieces) : body;
      return { kind, event, body: damaged, form: random.chance(0.1) };
    },
    check: ({ kind, event, body, form }) => {
      const made = signed(kind, form ? new URLSearchParams({ payload: body }).toString() : body, 's', {
        event,
      });
      const type = form ? 'application/x-www-form-urlencoded' : 'application/json';
      const message: Message = { ...made, headers: { ...made.headers, 'content-type': type } };
      const forge = forgeOf(kind);
      if (!forge.authenticate(message, ['s'])) throw new Error('the genuine delivery counts as forged');
      const owner = makeRepository({
        forge: kind,
        ...(event.startsWith('r') && { url: 'ssh://git@a/octo/hello' }),
      });
      let events: readonly ForgeEvent[];
      try {
        events = forge.read(message, owner);
      } catch (error) {
        if (error instanceof PayloadError && /\w/.test(error.message)) return 'refused';
        throw error;
      }
      events.forEach((each) => require(each, owner));
      return events.some((each) => each.kind === 'build') ? 'build' : 'ignored';
    },
  }),
};

function require(event: ForgeEvent, owner: ReturnType<typeof makeRepository>): void {
  if (event.kind === 'ignored') {
    if (!/\w/.test(event.reason)) throw new Error('an event is ignored without a reason');
    return;
  }
  const { ref, sha, base } = event.source;
  if (ref === undefined || (sha !== undefined && !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(sha)))
    throw new Error(`it would build ${ref} at ${sha}`);
  parseRef(ref);
  if (base) parseRef(base.ref);
  const request = { id: 'x', requestedBy: 'hook', report: 'none', older: 'cancel' } as const;
  const made = intake(owner, event, request);
  if (made.kind === 'build' && made.spec.source.kind === 'git' && made.spec.source.url !== owner.url)
    throw new Error('it would build another repository');
}
