import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { requestChecked } from '../http.ts';
import { RemoteError } from '../remote-error.ts';
import type { LfsAction, Reach } from './batch.ts';
import type { LfsObject } from './pointer.ts';

const mostRedirects = 3;

/**
 * Fetches an object into a new file, which has exactly its bytes when this returns. Each redirect is checked as the
 * first address was, and gets no login of another server. Throws RemoteError, and the signal's reason.
 */
export async function downloadObject(
  object: LfsObject,
  action: LfsAction,
  file: string,
  reach: Reach,
): Promise<void> {
  const { oid, size } = object;
  const response = await follow(action, reach);
  const hash = createHash('sha256');
  let bytes = 0;
  const check = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > size)
        throw new RemoteError('refused', `the object ${oid} is larger than the ${size} bytes of its pointer`);
      hash.update(chunk);
      yield chunk;
    }
  };
  try {
    await pipeline(response, check, createWriteStream(file, { flags: 'wx', mode: 0o644 }));
  } catch (error) {
    reach.signal?.throwIfAborted();
    if (error instanceof RemoteError || !isBrokenConnection(error)) throw error;
    throw new RemoteError('unreachable', `the object ${oid} broke off after ${bytes} bytes`, {
      cause: error,
    });
  }
  if (bytes < size)
    throw new RemoteError('unreachable', `the object ${oid} ended after ${bytes} of ${size} bytes`);
  if (hash.digest('hex') !== oid) {
    throw new RemoteError('refused', `what the server gave for the object ${oid} has another content`);
  }
}

async function follow({ href, header }: LfsAction, reach: Reach): Promise<IncomingMessage> {
  let url = href;
  let headers = header;
  for (let redirects = 0; redirects <= mostRedirects; redirects++) {
    const response = await requestChecked({ ...reach, method: 'GET', url, headers });
    const { statusCode = 0 } = response;
    if (statusCode === 200) return response;
    response.destroy();
    const { location } = response.headers;
    if (
      ![301, 302, 303, 307, 308].includes(statusCode) ||
      location === undefined ||
      !URL.canParse(location, url)
    ) {
      const kind = statusCode >= 400 && statusCode < 500 && statusCode !== 429 ? 'refused' : 'unreachable';
      throw new RemoteError(kind, `${withoutQuery(url)} answers ${statusCode}`);
    }
    const next = new URL(location, url);
    if (next.origin !== new URL(url).origin) headers = {};
    url = next.href;
  }
  throw new RemoteError('refused', `${withoutQuery(href)} sends us on more than ${mostRedirects} times`);
}

/** What is signed is in the query. */
const withoutQuery = (url: string) => url.replace(/\?.*$/, '');

function isBrokenConnection(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ETIMEDOUT';
}
