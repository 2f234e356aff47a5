import { randomUUID } from 'node:crypto';
import type { Message } from '../../../src/triggers/forge.ts';
import { githubPush, signed } from '../triggers/samples.ts';
import type { TestService } from './service.ts';

/** What a forge is answered. */
export interface Receipt {
  readonly delivery: string;
  readonly builds: readonly string[];
  readonly ignored: readonly string[];
}

/** A message that GitHub might send of a push; by default for the repository that has this secret. */
export const push = (secret = 'new-secret', change: object = {}, id: string = randomUUID()) =>
  signed('github', githubPush(change), secret, { id });

/** Sends messages and requests of an administrator to a service. */
export function senderTo(service: () => TestService) {
  return {
    send: ({ headers, body }: Message, path = 'github/octo/hello') =>
      service().app.inject({
        method: 'POST',
        url: `/v1/hooks/${path}`,
        headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
        payload: body,
      }),
    ask: (method: 'GET' | 'POST', url: string) =>
      service().app.inject({ method, url, headers: { authorization: service().bearer.admin } }),
  };
}
