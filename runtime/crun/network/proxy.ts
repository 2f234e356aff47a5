import { createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { AllowList } from './allow-list.ts';
import { maxHelloBytes, readClientHello } from './client-hello.ts';
import { httpProxy } from './http-proxy.ts';
import { listen } from './name-server.ts';
import { written } from './names.ts';
import { type Connect, RemoteServerError } from './remote.ts';

export interface ProxyOptions {
  /** The gateway of the build. */
  readonly address: string;
  /** Where to listen for what the build sends to a port. */
  readonly listeners: readonly { readonly port: number; readonly listenOn: number }[];
  readonly allow: AllowList;
  readonly connect: Connect;
  readonly notice: (line: string) => void;
}

/** Connections of one build at a time. */
const maxConnections = 512;

/** How long a build may take to say whom it wants to talk to. */
const helloMs = 10_000;

/** A fatal alert, `access_denied` (RFC 8446, 6). */
const alert = Buffer.from([21, 3, 3, 0, 2, 2, 49]);

class Denied extends Error {
  override readonly name = 'Denied';
}

/**
 * Takes the connections of a build in place of the servers it means, and passes on those whose names are on its list: by
 * the server name of TLS, or the Host of HTTP. A port that one host alone is listed for leads to that host unread. Rejects
 * where it cannot listen.
 */
export async function startProxy(options: ProxyOptions): Promise<{ close(): void }> {
  const sockets = new Set<Socket>();
  const servers = options.listeners.map(({ port, listenOn }) => {
    const serve = serverOf(port, options);
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => {});
      if (sockets.size > maxConnections) socket.destroy();
      else serve(socket);
    });
    return { server, listenOn };
  });
  const close = () => {
    for (const { server } of servers) server.close();
    for (const socket of sockets) socket.destroy();
  };
  try {
    await Promise.all(servers.map(({ server, listenOn }) => listen(server, options.address, listenOn)));
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}

/** What is done with the connections to a port. */
function serverOf(port: number, { allow, connect, notice }: ProxyOptions): (socket: Socket) => void {
  const deny = (name: string | undefined, why: string) => {
    const server = name === undefined ? `port ${port}` : `${written(name)}:${port}`;
    const line = `denied ${server} (${why})`;
    notice(`network: ${line}`);
    return new Denied(`cofferdam: ${line}`);
  };

  /** A connection to a host on the list. Throws Denied. */
  const admit = async (name: string): Promise<Socket> => {
    if (!allow.has(name, port)) throw deny(name, 'not in allow');
    try {
      return await connect(name, port);
    } catch (error) {
      if (!(error instanceof RemoteServerError)) throw error;
      throw deny(name, error.message);
    }
  };

  const http = httpProxy(admit);

  const tls = async (socket: Socket, hello: { serverName: string | undefined; encrypted: boolean }) => {
    if (hello.serverName === undefined) throw deny(undefined, 'TLS without a server name');
    if (hello.encrypted)
      throw deny(hello.serverName, 'its ClientHello is encrypted, so the name may be another');
    splice(socket, await admit(hello.serverName));
  };

  const refuse = (socket: Socket) => (error: unknown) => {
    if (error instanceof Denied && !socket.destroyed) socket.end(alert);
    else socket.destroy();
  };

  return (socket) => {
    const only = allow.only(port);
    if (only !== undefined) {
      admit(only).then(
        (remote) => splice(socket, remote),
        () => socket.destroy(),
      );
      return;
    }
    let head: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(), helloMs);
    const read = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const hello = readClientHello(head);
      if (hello.kind === 'partial' && head.length < 2 * maxHelloBytes) return;
      clearTimeout(timer);
      // Whoever takes over reads from the beginning.
      socket.pause().off('data', read).off('end', giveUp).unshift(head);
      if (hello.kind === 'hello') tls(socket, hello).catch(refuse(socket));
      else if (hello.kind === 'not-tls' && head[0] !== tlsHandshake) {
        http.emit('connection', socket);
        process.nextTick(() => socket.resume());
      } else socket.destroy();
    };
    const giveUp = () => socket.destroy();
    socket.on('data', read).on('end', giveUp);
    socket.on('close', () => clearTimeout(timer));
  };
}

const tlsHandshake = 22;

/** What each sends goes to the other, as does its end; the loss of one ends both. */
function splice(a: Socket, b: Socket): void {
  const ended = (error: unknown) => {
    if (!error) return;
    a.destroy();
    b.destroy();
  };
  pipeline(a, b, ended);
  pipeline(b, a, ended);
}
