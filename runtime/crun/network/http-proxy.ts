import {
  createServer,
  type IncomingMessage,
  request as send,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';

/** Whether a build may talk to a host, and a connection to it; a refusal is an Error whose message the build gets. */
export type Admit = (host: string) => Promise<Socket>;

/** Of the connection, not of the message (RFC 9110, 7.6.1). Each request has a connection of its own behind the proxy. */
const hopByHop = new Set([
  'connection',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

const headMs = 10_000;

/**
 * Passes requests on by their Host, each one looked at: after one request to a host of the list, another one on the same
 * connection gets no further by it. Does not listen: connections come by `emit('connection', socket)`.
 */
export function httpProxy(admit: Admit): Server {
  const server = createServer({ headersTimeout: headMs, keepAliveTimeout: headMs }, (request, response) => {
    pass(request, response, admit).catch((error: unknown) => {
      if (response.headersSent) return response.destroy();
      response.writeHead(403, { 'content-type': 'text/plain', connection: 'close' });
      response.end(`${error instanceof Error ? error.message : String(error)}\n`);
      return undefined;
    });
  });
  // Whatever is no HTTP.
  server.on('clientError', (_error, socket) => socket.destroy());
  return server;
}

async function pass(request: IncomingMessage, response: ServerResponse, admit: Admit): Promise<void> {
  const { method = 'GET', url: path = '/' } = request;
  const hosts = request.headersDistinct['host'] ?? [];
  const [host = ''] = hosts;
  // A target in absolute form would count more than Host (RFC 9112, 3.2.2).
  if (hosts.length !== 1 || !(path.startsWith('/') || path === '*')) throw new Error('one Host, and a path');
  const socket = await admit(host.replace(/:\d+$/, '').toLowerCase());
  // A body without a length in front is sent in chunks, whatever the method: else it would be read as another request.
  const framing = 'transfer-encoding' in request.headers ? ['transfer-encoding', 'chunked'] : [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onward = send({
    createConnection: () => socket,
    method,
    path,
    headers: ['host', host, ...endToEnd(request.rawHeaders), ...framing, 'connection', 'close'],
  });
  response.on('close', () => {
    onward.destroy();
    resolve();
  });
  onward.on('error', reject);
  onward.on('response', (reply) => {
    reply.on('error', reject);
    response.writeHead(reply.statusCode ?? 502, reply.statusMessage, endToEnd(reply.rawHeaders));
    reply.pipe(response);
  });
  request.pipe(onward);
  await promise;
}

/** Names and values in turns, without those that are of one connection alone. */
function endToEnd(headers: readonly string[]): string[] {
  return headers.filter((_, i) => !hopByHop.has((headers[i - (i % 2)] ?? '').toLowerCase()));
}
