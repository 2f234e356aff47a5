import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serveHttp } from '../git/http.ts';
import { makeRepository, type TestRepository } from '../git/repository.ts';
import { signed } from '../src/triggers/samples.ts';
import type { Site } from './site.ts';

/** The repository team/app on a real git server, whose webhooks are those of Gitea. */
export interface Gitea extends AsyncDisposable {
  readonly origin: TestRepository;
  /** Makes it known to the service, which must run. */
  register(): Promise<void>;
  /** Each gives the id of the build that the delivery made. */
  readonly deliver: {
    /** A commit on a branch that is there; `file` is what it changes, undefined: nothing. */
    push(branch: string, file: string | undefined, message?: string): Promise<string>;
    /** An annotated tag of a commit. */
    tag(name: string, commit: string): Promise<string>;
    /** A pull request of one commit, which changes src/b, from `base` to main. */
    pull(number: number, from: 'own' | 'fork', base: string, labels?: readonly string[]): Promise<string>;
  };
}

const secret = 'the-secret-of-the-webhook';

export async function createGitea(site: Site): Promise<Gitea> {
  const root = join(site.dataDir, 'forge');
  mkdirSync(root);
  const origin = await makeRepository(root, 'team/app.git');
  const server = await serveHttp(root);

  const deliver = async (event: string, payload: object): Promise<string> => {
    const told = { repository: { full_name: 'team/app' }, sender: { login: 'ann' }, ...payload };
    const { headers, body } = signed('gitea', told, secret, { event, id: randomUUID() });
    const plain = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
    const response = await fetch(`${site.url}/v1/hooks/gitea/team/app`, {
      method: 'POST',
      headers: Object.fromEntries(plain),
      body,
    });
    const text = await response.text();
    const { builds: [build, ...others] = [] }: { builds?: string[] } = JSON.parse(text);
    if (build === undefined || others.length > 0) throw new Error(`not one build: ${text}`);
    return build;
  };
  const commitAt = (ref: string) => origin.git('rev-parse', ref);

  return {
    origin,
    register: async () => {
      const token = readFileSync(join(site.dataDir, 'token'), 'utf8').trim();
      const url = `${server.url}/team/app.git`;
      const wanted = { name: 'team/app', url, forge: 'gitea', hosts: 'internal', webhookSecret: secret };
      const response = await fetch(`${site.url}/v1/repos`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(wanted),
      });
      if (!response.ok) throw new Error(await response.text());
    },
    deliver: {
      push: async (branch, file, message = 'Change it') => {
        const before = await commitAt(`refs/heads/${branch}`);
        const files = file === undefined ? {} : { [file]: randomUUID() };
        const id = await origin.commit(files, { branch, message });
        const author = { name: 'Ann', email: 'ann@example.org' };
        const about = { head_commit: { id, message, author } };
        return await deliver('push', { ref: `refs/heads/${branch}`, before, after: id, ...about });
      },
      tag: async (name, commit) => {
        await origin.git('tag', '--annotate', '--message', name, name, commit);
        const ref = `refs/tags/${name}`;
        const about = { head_commit: { id: commit, message: 'Release it' } };
        return await deliver('push', { ref, before: '0'.repeat(40), after: await commitAt(ref), ...about });
      },
      pull: async (number, from, base, labels = []) => {
        await origin.git('update-ref', 'refs/heads/topic', base);
        const sha = await origin.commit({ 'src/b': String(number) }, { branch: 'topic' });
        await origin.git('update-ref', `refs/pull/${number}/head`, sha);
        if (from === 'fork') await origin.git('branch', '-D', 'topic');
        const pull = {
          title: 'Better',
          labels: labels.map((name) => ({ name })),
          head: { ref: 'topic', sha, repo_id: from === 'own' ? 7 : 8 },
          base: { ref: 'main', sha: await commitAt('refs/heads/main'), repo_id: 7 },
        };
        return await deliver('pull_request', { action: 'opened', number, pull_request: pull });
      },
    },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
