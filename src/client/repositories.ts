import type {
  RepositoryDetails,
  RepositoryPatch,
  RepositoryRequest,
  ShownRepository,
} from '../api/repository.ts';
import { finished, json } from './answer.ts';
import type { Http } from './http.ts';

/** `/v1/repos`. Every call throws what the client's calls throw. */
export interface RepositoryCalls {
  list(): Promise<readonly ShownRepository[]>;
  get(name: string): Promise<RepositoryDetails>;
  /** The webhook's secret is told this once. */
  add(request: RepositoryRequest): Promise<RepositoryDetails & { readonly webhookSecret: string }>;
  change(name: string, patch: RepositoryPatch): Promise<RepositoryDetails>;
  remove(name: string): Promise<void>;
  /** `begin` and `replace` answer with the new secret, this once. */
  changeWebhookSecret(
    name: string,
    change: { readonly step: 'begin' | 'replace' | 'finish'; readonly secret?: string },
  ): Promise<{ readonly url: string; readonly secret?: string }>;
}

export function repositoryCalls(http: Http): RepositoryCalls {
  const path = (name: string) => `/v1/repos/${encodePath(name)}`;
  return {
    list: async () =>
      (await json<{ repositories: ShownRepository[] }>(http({ method: 'GET', path: '/v1/repos' })))
        .repositories,
    get: (name) => json(http({ method: 'GET', path: path(name) })),
    add: (request) => json(http({ method: 'POST', path: '/v1/repos', body: JSON.stringify(request) })),
    change: (name, patch) => json(http({ method: 'PATCH', path: path(name), body: JSON.stringify(patch) })),
    remove: (name) => finished(http({ method: 'DELETE', path: path(name) })),
    changeWebhookSecret: (name, change) =>
      json(http({ method: 'POST', path: `${path(name)}/webhook-secret`, body: JSON.stringify(change) })),
  };
}

/** Slashes stay: there are proxies that refuse them when they are encoded. */
export function encodePath(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/');
}
