import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { ForgeKind, Repository } from '../../../src/repositories.ts';
import type { ForgeEvent, Message } from '../../../src/triggers/forge.ts';
import { forgeOf } from '../../../src/triggers/forges.ts';

/** Commits. */
export const a = 'a'.repeat(40);
export const b = 'b'.repeat(40);
export const zeros = '0'.repeat(40);

export function makeRepository(wanted: Partial<Repository> = {}): Repository {
  return {
    name: 'octo/hello',
    url: 'https://git.example.org/octo/hello.git',
    forge: 'github',
    defaultBranch: 'main',
    events: ['push', 'tag', 'pull_request'],
    untrusted: { builds: 'run', network: 'none', limits: {} },
    supersede: ['push', 'pull_request'],
    defaults: {},
    checkout: { submodules: 'none', lfs: 'none', paths: [] },
    hosts: 'public',
    crons: [],
    badge: 'private',
    createdAt: '2026-01-01T00:00:00.000Z',
    ...wanted,
  };
}

/** A message as a forge sends it, signed by a secret. */
export function signed(
  kind: ForgeKind,
  payload: unknown,
  secret: string,
  { event = 'push', id = 'delivery-1' }: { readonly event?: string; readonly id?: string } = {},
): Message {
  const body = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  const hex = (...parts: (string | Buffer)[]) => {
    const hmac = createHmac('sha256', secret);
    for (const part of parts) hmac.update(part);
    return hmac.digest('hex');
  };
  const now = String(Math.floor(Date.now() / 1000));
  const headers: Readonly<Record<ForgeKind, IncomingHttpHeaders>> = {
    github: {
      'x-github-event': event,
      'x-github-delivery': id,
      'x-hub-signature-256': `sha256=${hex(body)}`,
    },
    gitlab: { 'x-gitlab-event': event, 'idempotency-key': id, 'x-gitlab-token': secret },
    gitea: { 'x-gitea-event': event, 'x-gitea-delivery': id, 'x-gitea-signature': hex(body) },
    forgejo: { 'x-forgejo-event': event, 'x-forgejo-delivery': id, 'x-forgejo-signature': hex(body) },
    bitbucket: { 'x-event-key': event, 'x-request-uuid': id, 'x-hub-signature': `sha256=${hex(body)}` },
    generic: {
      'x-cofferdam-timestamp': now,
      'x-cofferdam-signature': `sha256=${hex(`${now}.`, body)}`,
    },
  };
  return { headers: { 'content-type': 'application/json', ...headers[kind] }, body };
}

/** What a forge reads in a payload. */
export function read(
  kind: ForgeKind,
  event: string,
  payload: unknown,
  repository = makeRepository({ forge: kind }),
): readonly ForgeEvent[] {
  return forgeOf(kind).read(signed(kind, payload, 'secret', { event }), repository);
}

/** A push of one commit to `main`, as GitHub tells of it. */
export function githubPush(change: object = {}): object {
  return {
    ref: 'refs/heads/main',
    before: a,
    after: b,
    head_commit: { id: b, message: 'Say hello', author: { name: 'Ann', email: 'ann@example.org' } },
    repository: { id: 1, full_name: 'octo/hello', pushed_at: 1557933657 },
    sender: { login: 'ann' },
    compare: 'https://git.example.org/octo/hello/compare/a...b',
    ...change,
  };
}
