import type { Status } from '../build.ts';
import type { Repository } from '../repositories.ts';
import { cloudReaders } from './bitbucket-cloud.ts';
import { dataCenterReaders } from './bitbucket-data-center.ts';
import type { CommitStatus, Forge, StatusRequest } from './forge.ts';
import { pathOf } from './identity.ts';
import { jsonOf } from './payload.ts';
import { ignored } from './ref-update.ts';
import { digestIn, headerOf, isSigned } from './signature.ts';
import { apiUrl, clipped, postJson } from './status.ts';

/**
 * Bitbucket Cloud and Bitbucket Data Center: one signature and one header, but payloads and an API of their own.
 * https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/
 * https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
 */
export const bitbucket: Forge = {
  kind: 'bitbucket',
  // The header that is SHA-1 elsewhere; here it says which digest it is.
  authenticate: ({ headers, body }, secrets) =>
    isSigned(digestIn(headerOf(headers, 'x-hub-signature'), 'sha256='), [body], secrets),
  deliveryId: (headers) => headerOf(headers, 'x-request-uuid') ?? headerOf(headers, 'x-request-id'),
  headers: ['x-event-key'],
  read: (message, repository) => {
    const event = headerOf(message.headers, 'x-event-key') ?? '';
    if (event === 'diagnostics:ping') return [ignored('pong: the webhook works')];
    const read = cloudReaders.get(event) ?? dataCenterReaders.get(event);
    return read
      ? read(jsonOf(message), repository)
      : [ignored(`events of the kind '${event}' make no builds`)];
  },
  statusRequest: (repository, token, status) => {
    if (repository.apiUrl === undefined) return undefined;
    // Data Center's API is below /rest, Cloud's has its version there.
    const isCloud = new URL(repository.apiUrl).pathname.startsWith('/2.0');
    return isCloud
      ? cloudStatus(repository, repository.apiUrl, token, status)
      : dataCenterStatus(repository, repository.apiUrl, token, status);
  },
};

/** The key tells verdicts on one commit apart; the service takes 40 characters. */
function cloudStatus(
  repository: Repository,
  api: string,
  token: string,
  status: CommitStatus,
): StatusRequest {
  const { sha, state, context, description, url } = status;
  const [workspace = '', slug = ''] = pathOf(repository).split('/');
  return postJson(
    apiUrl(api, 'repositories', workspace, slug, 'commit', sha, 'statuses', 'build'),
    { authorization: `Bearer ${token}` },
    {
      key: clipped(context, 40),
      name: context,
      state: state === 'canceled' ? 'STOPPED' : states[state],
      description: clipped(description, 255),
      url,
    },
  );
}

/** The API is `https://HOST/rest/api/latest`; the path of a clone URL ends in the project's key and the slug. */
function dataCenterStatus(
  repository: Repository,
  api: string,
  token: string,
  { sha, ref, state, context, description, url }: CommitStatus,
): StatusRequest {
  const [project = '', slug = ''] = pathOf(repository).split('/').slice(-2);
  return postJson(
    apiUrl(api, 'projects', project, 'repos', slug, 'commits', sha, 'builds'),
    { authorization: `Bearer ${token}` },
    {
      key: clipped(context, 255),
      name: clipped(context, 255),
      state: state === 'canceled' ? 'CANCELLED' : states[state],
      description: clipped(description, 255),
      url,
      ...(ref !== undefined && { ref }),
    },
  );
}

const states: Readonly<Record<Exclude<Status, 'canceled'>, 'INPROGRESS' | 'SUCCESSFUL' | 'FAILED'>> = {
  queued: 'INPROGRESS',
  running: 'INPROGRESS',
  passed: 'SUCCESSFUL',
  failed: 'FAILED',
  errored: 'FAILED',
  timed_out: 'FAILED',
};
