import { setTimeout as sleep } from 'node:timers/promises';
import { detailOf, refusalOf } from './problem.ts';

/** Where the service is, and who asks. */
export interface Target {
  /** With or without a path, such as `https://ci.example.org/cofferdam`. */
  readonly url: string;
  readonly token?: string | undefined;
}

/** Nobody answered. The message names the URL and what to do. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

/** One request. What is in it can be sent again. */
export interface Call {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  /** Begins with `/`; encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** A string is JSON. */
  readonly body?: string | Blob;
  readonly signal?: AbortSignal;
  /** To do it twice is as good as once; default: what HTTP says of the method. */
  readonly repeatable?: boolean;
  /** Statuses that are answers, not errors. */
  readonly expected?: readonly number[];
}

export type Http = (call: Call) => Promise<Response>;

/** How long to try again, in milliseconds. */
export interface Patience {
  /** When nobody has ever answered: perhaps there is nobody. */
  readonly strangerMs: number;
  /** When somebody has: a service that restarts. */
  readonly acquaintanceMs: number;
}

const defaultPatience: Patience = { strangerMs: 2_000, acquaintanceMs: 120_000 };

/**
 * Sends requests. While the service is away or overloaded a call is repeated, as far as that cannot do it twice.
 * Throws UnreachableError, or RefusedError for every status that is neither a success nor expected.
 * @param onWait told once, when a call is not answered at once
 */
export function createHttp(target: Target, onWait: (why: string) => void, patience = defaultPatience): Http {
  const base = target.url.replace(/\/+$/, '');
  let answered = false;

  return async (call) => {
    const request = requestOf(base, call, target.token);
    const began = performance.now();
    let told = false;
    for (let attempt = 0; ; attempt++) {
      const outcome = await attemptOnce(request, call.signal);
      answered ||= outcome.kind === 'answer';
      const left = (answered ? patience.acquaintanceMs : patience.strangerMs) - (performance.now() - began);
      if (left <= 0 || !mayRepeat(outcome, call)) return await conclude(outcome, call, base);
      if (!told && attempt > 1) onWait(`${base}: ${await atLength(outcome)}; ${tryingFor(left)}`);
      told ||= attempt > 1;
      if (outcome.kind === 'answer' && !outcome.response.bodyUsed) await outcome.response.body?.cancel();
      await sleep(
        Math.min(left, delayOf(outcome, attempt)),
        undefined,
        call.signal && { signal: call.signal },
      );
    }
  };
}

type Outcome =
  | { readonly kind: 'answer'; readonly response: Response }
  /** `code`: that of the system or of undici. */
  | { readonly kind: 'silence'; readonly code: string; readonly error: unknown };

/** Nothing was sent. */
const refusedCodes = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'];
/** It may have been, and done. */
const brokenCodes = ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT'];

function mayRepeat(outcome: Outcome, { method, headers, repeatable }: Call): boolean {
  const again = repeatable ?? (method !== 'POST' || headers?.['idempotency-key'] !== undefined);
  if (outcome.kind === 'silence') {
    return refusedCodes.includes(outcome.code) || (again && brokenCodes.includes(outcome.code));
  }
  const { status } = outcome.response;
  return status === 429 || (again && [502, 503, 504].includes(status));
}

function delayOf(outcome: Outcome, attempt: number): number {
  const asked = outcome.kind === 'answer' ? Number(outcome.response.headers.get('retry-after')) : 0;
  if (asked > 0) return Math.min(asked, 30) * 1000;
  return Math.min(50 * 2 ** attempt, 1000) * (0.75 + Math.random() / 2);
}

interface Prepared {
  readonly url: string;
  readonly init: RequestInit;
}

function requestOf(base: string, call: Call, token: string | undefined): Prepared {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(call.query ?? {}))
    if (value !== undefined) query.set(name, value);
  const { method, body } = call;
  return {
    url: `${base}${call.path}${query.size > 0 ? `?${query.toString()}` : ''}`,
    init: {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(typeof body === 'string' && { 'content-type': 'application/json' }),
        ...call.headers,
      },
      ...(body !== undefined && { body }),
      ...(call.signal && { signal: call.signal }),
    },
  };
}

async function attemptOnce({ url, init }: Prepared, signal: AbortSignal | undefined): Promise<Outcome> {
  try {
    return { kind: 'answer', response: await fetch(url, init) };
  } catch (error) {
    if (signal?.aborted) throw error;
    return { kind: 'silence', code: codeOf(error), error };
  }
}

/** Fetch hides what happened in the cause of its error. */
export function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return at.code;
  }
  return 'unknown';
}

async function conclude(outcome: Outcome, { method, path, expected }: Call, base: string): Promise<Response> {
  if (outcome.kind === 'silence') {
    const remedy =
      remedies[outcome.code] ?? 'Is cofferdam up running there? COFFERDAM_URL chooses another service';
    throw new UnreachableError(`cannot reach ${base}: ${shortly(outcome)}. ${remedy}`, {
      cause: outcome.error,
    });
  }
  const { response } = outcome;
  if (response.ok || expected?.includes(response.status)) return response;
  throw await refusalOf(response, `${method} ${base}${path}`);
}

/** What is to be done, by code, where it is not the service that is missing. */
const remedies: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: 'Write http:// in COFFERDAM_URL, or name the proxy that has the certificate',
  ...Object.fromEntries(
    // Who signed it is not known (verify(1) of OpenSSL).
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'].map(
      (code) => [code, 'If that is your own CA, name the file with its certificate by NODE_EXTRA_CA_CERTS'],
    ),
  ),
};

/** With what the service itself says of it. */
async function atLength(outcome: Outcome): Promise<string> {
  const detail = outcome.kind === 'answer' ? await detailOf(outcome.response) : undefined;
  return detail === undefined ? shortly(outcome) : `${shortly(outcome)}, ${detail.replace(/;.*/s, '')}`;
}

function tryingFor(ms: number): string {
  return ms < 10_000 ? 'trying again' : `trying again for ${Math.ceil(ms / 1000)} s at most`;
}

function shortly(outcome: Outcome): string {
  if (outcome.kind === 'answer') return `it answers ${outcome.response.status}`;
  if (outcome.code === 'ECONNREFUSED') return 'connection refused';
  if (outcome.code === 'ENOTFOUND') return 'no such host';
  if (outcome.code === 'ERR_SSL_WRONG_VERSION_NUMBER') return 'what answers does not speak TLS';
  const { error } = outcome;
  const said = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
  return said.trim() || outcome.code;
}
