import type { Status } from '../build.ts';
import type { StatusRequest } from './forge.ts';

/** A request with a JSON body to a forge's API. */
export function postJson(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: object,
): StatusRequest {
  return {
    method: 'POST',
    url,
    headers: {
      accept: 'application/json',
      'content-type': 'application/json',
      'user-agent': 'cofferdam',
      ...headers,
    },
    body: JSON.stringify(body),
  };
}

/** Below the forge's API; each part of the path is encoded. */
export function apiUrl(base: string, ...parts: readonly string[]): string {
  return [base.replace(/\/+$/, ''), ...parts.map(encodeURIComponent)].join('/');
}

/** One line of at most so many characters, as forges refuse longer ones. */
export function clipped(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** As GitHub calls them, and Gitea, whose API follows it. */
export const githubStates: Readonly<Record<Status, 'pending' | 'success' | 'failure' | 'error'>> = {
  queued: 'pending',
  running: 'pending',
  passed: 'success',
  failed: 'failure',
  timed_out: 'failure',
  errored: 'error',
  canceled: 'error',
};
