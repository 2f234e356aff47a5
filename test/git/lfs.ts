import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { HttpGitOptions } from './http.ts';

/** An object as a server of Git LFS has it, and the pointer that is committed in its place. */
export interface TestObject {
  readonly oid: string;
  readonly content: Buffer;
  readonly pointer: string;
}

export function lfsObject(content: string | Buffer): TestObject {
  const bytes = Buffer.from(content);
  const oid = createHash('sha256').update(bytes).digest('hex');
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${bytes.length}\n`;
  return { oid, content: bytes, pointer };
}

export interface LfsServerOptions {
  readonly objects: readonly TestObject[];
  /** Asked for as on the repository, in batch requests and for the content. */
  readonly authorization?: string;
  /** Where the content of an object is said to be; default: below this server. */
  readonly href?: (oid: string, origin: string) => string;
  /** What is added to each object of an answer. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** Headers that the client is told to send for the content. */
  readonly header?: Readonly<Record<string, string>>;
  /** Answers the request for a content itself and returns true. */
  readonly content?: (request: IncomingMessage, response: ServerResponse, oid: string) => boolean;
}

/** A server of Git LFS (batch API, basic transfer) beside git, as an interceptor of serveHttp(). */
export function serveLfs(options: LfsServerOptions): Required<Pick<HttpGitOptions, 'intercept'>> {
  const byOid = new Map(options.objects.map((object) => [object.oid, object]));
  const isDenied = (request: IncomingMessage) =>
    options.authorization !== undefined && request.headers.authorization !== options.authorization;

  const batch = async (request: IncomingMessage, response: ServerResponse) => {
    const wanted: { objects: { oid: string; size: number }[] } = JSON.parse(await text(request));
    const origin = `http://${request.headers.host}`;
    const objects = wanted.objects.map(({ oid, size }) => {
      if (!byOid.has(oid)) return { oid, size, error: { code: 404, message: 'Object does not exist' } };
      const href = options.href?.(oid, origin) ?? `${origin}/content/${oid}`;
      return {
        oid,
        size,
        error: null,
        actions: { download: { href, header: options.header ?? null } },
        ...options.extra,
      };
    });
    response.setHeader('Content-Type', 'application/vnd.git-lfs+json');
    response.end(JSON.stringify({ transfer: 'basic', objects }));
  };

  return {
    intercept: async (request, response) => {
      const { method, url = '' } = request;
      const isBatch = method === 'POST' && url.endsWith('/info/lfs/objects/batch');
      const oid = /^\/content\/([0-9a-f]{64})$/.exec(url)?.[1];
      if (!isBatch && oid === undefined) return false;
      if (isDenied(request)) response.writeHead(401).end();
      else if (isBatch) await batch(request, response);
      else if (oid !== undefined && !options.content?.(request, response, oid)) {
        const object = byOid.get(oid);
        if (object) response.end(object.content);
        else response.writeHead(404).end();
      }
      return true;
    },
  };
}
