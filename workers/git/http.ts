import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIPv6, type LookupFunction } from 'node:net';
import { type Hosts, type Lookup, resolveHost } from './addresses.ts';
import { RemoteError } from './remote-error.ts';

export interface PinnedRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  /** What resolveHost() gave for its host; no other address is connected to. */
  readonly addresses: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
}

/** A server that says nothing for so long is given up. */
const silenceMs = 60_000;

/**
 * Sends one request and gives the answer, whatever its status, when its headers are here; the caller reads the body or
 * destroys it. No redirect is followed. Throws RemoteError `unreachable`, and the signal's reason.
 */
export async function requestPinned(options: PinnedRequest): Promise<IncomingMessage> {
  const { method, url, addresses, headers, body, signal } = options;
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const lookup: LookupFunction = (_host, { all }, callback) => {
    const found = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }));
    if (all) callback(null, found);
    else callback(null, found[0]?.address ?? '', found[0]?.family);
  };
  const request = send(url, {
    method,
    headers: { 'User-Agent': 'cofferdam', ...headers },
    // A connection of its own: one from a pool might be to an address of an earlier look-up.
    agent: false,
    lookup,
    timeout: silenceMs,
    ...(signal && { signal }),
  });
  request.on('timeout', () => request.destroy(new Error(`no answer within ${silenceMs / 1000} s`)));
  request.end(body);
  try {
    const [response]: IncomingMessage[] = await once(request, 'response');
    if (response) return response;
    throw new Error('no answer');
  } catch (cause) {
    signal?.throwIfAborted();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RemoteError('unreachable', `${url.host} does not answer: ${reason}`, { cause });
  }
}

export interface CheckedRequest extends Omit<PinnedRequest, 'url' | 'addresses'> {
  /** Somebody else's words. */
  readonly url: string;
  readonly hosts: Hosts;
  readonly look?: Lookup | undefined;
}

/** As requestPinned, to a URL that is checked first. Throws RemoteError `refused` for one that we do not go to. */
export async function requestChecked(options: CheckedRequest): Promise<IncomingMessage> {
  const { url: text, hosts, look, signal, ...rest } = options;
  const url = URL.parse(text);
  const shown = JSON.stringify(
    text
      .replace(/[?#][^]*$/, '')
      .replace(/\/\/[^/]*@/, '//…@')
      .slice(0, 200),
  );
  if (!url || (url.protocol !== 'https:' && !(url.protocol === 'http:' && hosts === 'internal'))) {
    throw new RemoteError('refused', `a server sends us to ${shown}, which is no https URL`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new RemoteError('refused', `a server sends us to ${shown}, which has a login in it`);
  }
  const addresses = await resolveHost(url.hostname, hosts, look);
  signal?.throwIfAborted();
  return await requestPinned({ ...rest, url, addresses, signal });
}

/** The body as text; more than `limit` bytes, or one that breaks off, is a RemoteError. */
export async function textOf(response: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response) {
      const part = Buffer.from(chunk);
      bytes += part.length;
      if (bytes > limit) throw new Error(`more than ${limit} bytes`);
      chunks.push(part);
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RemoteError('unreachable', `the answer cannot be read: ${reason}`, { cause });
  }
  return Buffer.concat(chunks).toString();
}
