import { Agent, type IncomingMessage, request } from 'node:http';

export interface Target {
  readonly url: string;
  readonly token: string;
}

/** Connections that are kept: what is measured is the service, not TCP. */
export function keepAlive(): Agent {
  return new Agent({ keepAlive: true, maxSockets: Infinity });
}

/** Sends a request; resolves with its answer's head. */
export function send(
  { url, token }: Target,
  agent: Agent,
  path: string,
  {
    body,
    headers = {},
  }: { readonly body?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = request(
    `${url}${path}`,
    {
      agent,
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && {
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(body)),
        }),
        ...headers,
      },
    },
    resolve,
  );
  sent.on('error', reject);
  sent.end(body);
  return promise;
}

/** The whole answer. Throws unless it is a success. */
export async function ask(...args: Parameters<typeof send>): Promise<string> {
  const response = await send(...args);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  if ((response.statusCode ?? 500) >= 300) throw new Error(`${args[2]}: ${response.statusCode} ${text}`);
  return text;
}
