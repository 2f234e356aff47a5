import type { Secret, SecretScope } from '../secrets.ts';
import { finished, json } from './answer.ts';
import type { Http } from './http.ts';
import { encodePath } from './repositories.ts';

/** `/v1/secrets`. Every call throws what the client's calls throw. */
export interface SecretCalls {
  /** Of one owner, or all. */
  list(scope?: SecretScope): Promise<readonly Secret[]>;
  put(secret: Omit<Secret, 'updatedAt'>, value: string): Promise<Secret>;
  remove(scope: SecretScope, name: string): Promise<void>;
}

export function secretCalls(http: Http): SecretCalls {
  const path = (scope: SecretScope, name: string) =>
    `/v1/secrets/${scope.kind}/${encodePath(scope.name)}/${encodeURIComponent(name)}`;
  return {
    list: async (scope) => {
      const query = scope && { [scope.kind]: scope.name };
      const call = http({ method: 'GET', path: '/v1/secrets', ...(query && { query }) });
      return (await json<{ secrets: Secret[] }>(call)).secrets;
    },
    put: ({ scope, name, triggers }, value) =>
      json(http({ method: 'PUT', path: path(scope, name), body: JSON.stringify({ value, triggers }) })),
    remove: (scope, name) => finished(http({ method: 'DELETE', path: path(scope, name) })),
  };
}
