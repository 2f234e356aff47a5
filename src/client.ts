import { decodeTime } from 'ulid';
import type { ShownDelivery } from './api/deliveries.ts';
import type { HookReceipt } from './api/hooks.ts';
import type { Submission } from './api/submission.ts';
import type { ArtifactRecord, BuildRecord } from './build.ts';
import { body, finished, json } from './client/answer.ts';
import { type CronCalls, cronCalls } from './client/crons.ts';
import { type BuildEvent, followBuild } from './client/follow.ts';
import { createHttp, type Http, type Target } from './client/http.ts';
import { RefusedError } from './client/problem.ts';
import { type RepositoryCalls, repositoryCalls } from './client/repositories.ts';
import { type SecretCalls, secretCalls } from './client/secrets.ts';
import type { BuildFilter } from './records/indexes.ts';
import type { Scope, Token } from './tokens.ts';

/** A build as the service shows it. */
export interface ShownBuild extends BuildRecord {
  /** Why it is not running yet, when it is queued and was asked for alone. */
  readonly waiting?: string;
}

/** The service, over HTTP. Every call throws UnreachableError and RefusedError (404: no such build, …). */
export interface Client {
  readonly url: string;
  /** A build's id; a prefix of it is enough when no other build has it. Throws RefusedError (404, 409). */
  identify(text: string): Promise<string>;
  build(id: string): Promise<ShownBuild>;
  /** Newest first, page by page as far as they are wanted. */
  builds(filter: BuildFilter, pageSize?: number): AsyncGenerator<ShownBuild>;
  /** The same key again within 24 hours gives the build it made. */
  submit(submission: Submission, idempotencyKey: string): Promise<ShownBuild>;
  hasUpload(digest: string): Promise<boolean>;
  /** @param tar compressed by zstd; `digest` is the one of what is in it */
  putUpload(digest: string, tar: Blob): Promise<void>;
  cancel(id: string): Promise<ShownBuild>;
  /** Lets a held build run. */
  approve(id: string): Promise<ShownBuild>;
  /** The new build. */
  retry(id: string): Promise<ShownBuild>;
  /** @param reach `now`: of a build that goes on only what there is now */
  follow(id: string, signal: AbortSignal, reach?: 'end' | 'now'): AsyncGenerator<BuildEvent>;
  /** The log as far as it has come. */
  log(id: string): Promise<AsyncIterable<Uint8Array>>;
  artifacts(id: string): Promise<readonly ArtifactRecord[]>;
  artifact(id: string, path: string): Promise<AsyncIterable<Uint8Array>>;
  /** `secret` is shown this once. */
  createToken(token: {
    readonly name: string;
    readonly scopes: readonly Scope[];
    readonly projects?: readonly string[];
  }): Promise<Token & { readonly secret: string }>;
  tokens(): Promise<readonly Token[]>;
  revokeToken(id: string): Promise<void>;
  /** Newest first. */
  deliveries(filter: {
    readonly repository?: string | undefined;
    readonly limit: number;
  }): Promise<readonly ShownDelivery[]>;
  delivery(id: string): Promise<ShownDelivery>;
  deliveryBody(id: string): Promise<AsyncIterable<Uint8Array>>;
  /** Builds it once more. */
  replay(id: string): Promise<HookReceipt>;
  readonly repositories: RepositoryCalls;
  readonly secrets: SecretCalls;
  readonly crons: CronCalls;
}

/** @param onWait told when the service does not answer at once */
export function openClient(target: Target, onWait: (why: string) => void): Client {
  const http = createHttp(target, onWait);
  const build = (id: string) => `/v1/builds/${encodeURIComponent(id)}`;
  const delivery = (id: string) => `/v1/deliveries/${encodeURIComponent(id)}`;
  const artifact = (id: string, path: string) =>
    `${build(id)}/artifacts/${path.split('/').map(encodeURIComponent).join('/')}`;
  const builds = (filter: BuildFilter, pageSize = 100) => listBuilds(http, filter, pageSize);

  return {
    url: target.url,
    identify: (text) => identify(text, builds),
    build: (id) => json(http({ method: 'GET', path: build(id) })),
    builds,
    submit: (submission, idempotencyKey) =>
      json(
        http({
          method: 'POST',
          path: '/v1/builds',
          headers: { 'idempotency-key': idempotencyKey },
          body: JSON.stringify(submission),
        }),
      ),
    hasUpload: async (digest) => {
      const { status } = await http({ method: 'HEAD', path: `/v1/uploads/${digest}`, expected: [404] });
      return status !== 404;
    },
    putUpload: async (digest, tar) => {
      const headers = { 'content-type': 'application/x-tar', 'content-encoding': 'zstd' };
      await finished(http({ method: 'PUT', path: `/v1/uploads/${digest}`, headers, body: tar }));
    },
    cancel: (id) => json(http({ method: 'POST', path: `${build(id)}/cancel`, repeatable: true })),
    approve: (id) => json(http({ method: 'POST', path: `${build(id)}/approve`, repeatable: true })),
    retry: (id) => json(http({ method: 'POST', path: `${build(id)}/retry` })),
    follow: (id, signal, reach) => followBuild(http, id, signal, reach),
    log: (id) => body(http({ method: 'GET', path: `${build(id)}/logs`, headers: { accept: 'text/plain' } })),
    artifacts: async (id) =>
      (await json<{ artifacts: ArtifactRecord[] }>(http({ method: 'GET', path: `${build(id)}/artifacts` })))
        .artifacts,
    artifact: (id, path) => body(http({ method: 'GET', path: artifact(id, path) })),
    createToken: (token) => json(http({ method: 'POST', path: '/v1/tokens', body: JSON.stringify(token) })),
    tokens: async () => (await json<{ tokens: Token[] }>(http({ method: 'GET', path: '/v1/tokens' }))).tokens,
    revokeToken: (id) => finished(http({ method: 'DELETE', path: `/v1/tokens/${encodeURIComponent(id)}` })),
    deliveries: async ({ repository, limit }) => {
      const query = { repository, limit: String(limit) };
      const call = http({ method: 'GET', path: '/v1/deliveries', query });
      return (await json<{ deliveries: ShownDelivery[] }>(call)).deliveries;
    },
    delivery: (id) => json(http({ method: 'GET', path: delivery(id) })),
    deliveryBody: (id) => body(http({ method: 'GET', path: `${delivery(id)}/body` })),
    replay: (id) => json(http({ method: 'POST', path: `${delivery(id)}/replay` })),
    repositories: repositoryCalls(http),
    secrets: secretCalls(http),
    crons: cronCalls(http),
  };
}

async function* listBuilds(http: Http, filter: BuildFilter, pageSize: number): AsyncGenerator<ShownBuild> {
  for (let cursor: string | undefined; ; ) {
    const query = { ...filter, limit: String(pageSize), cursor };
    const page = await json<{ builds: ShownBuild[]; next?: string }>(
      http({ method: 'GET', path: '/v1/builds', query }),
    );
    yield* page.builds;
    cursor = page.next;
    if (cursor === undefined) return;
  }
}

const idLength = 26;
/** Of a ULID's time 10 characters; with 6 of them, builds of 17 minutes are looked through. */
const shortestPrefix = 6;

/** A prefix of a ULID says when the build was made, so that few builds need to be looked at. */
async function identify(
  text: string,
  builds: (filter: BuildFilter) => AsyncIterable<ShownBuild>,
): Promise<string> {
  const id = text.toUpperCase();
  if (id.length >= idLength) return id;
  if (!/^[0-7][0-9A-HJKMNP-TV-Z]*$/.test(id) || id.length < shortestPrefix) {
    throw new RefusedError(
      404,
      `'${text}' is no build id; give at least ${shortestPrefix} characters of one`,
    );
  }
  const first = decodeTime(id.padEnd(idLength, '0'));
  const last = decodeTime(id.padEnd(idLength, 'Z'));
  const range = { after: new Date(first - 1).toISOString(), before: new Date(last + 1).toISOString() };
  let found: string | undefined;
  for await (const build of builds(range)) {
    if (!build.id.startsWith(id)) continue;
    if (found !== undefined)
      throw new RefusedError(409, `several builds have an id that begins with '${text}'`);
    found = build.id;
  }
  if (found === undefined) throw new RefusedError(404, `no build has an id that begins with '${text}'`);
  return found;
}
