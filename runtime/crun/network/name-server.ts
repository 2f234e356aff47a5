import { createSocket, type Socket as Datagrams } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';

export type Transport = 'udp' | 'tcp';

/** The answer to a DNS message, or undefined where there is none to give. Must not throw. */
export type Answer = (query: Buffer, transport: Transport) => Promise<Buffer | undefined>;

/** Of one build: queries under way, and connections. What is beyond is dropped, and asked again by who wants to know. */
const maxQueries = 128;
const maxConnections = 32;
const idleMs = 10_000;

/** Answers DNS queries at an address until it is closed. Rejects where it cannot listen. */
export async function listenForNames(
  address: string,
  port: number,
  answer: Answer,
): Promise<{ close(): void }> {
  let pending = 0;
  const limited: Answer = async (query, transport) => {
    if (pending >= maxQueries) return undefined;
    pending++;
    try {
      return await answer(query, transport);
    } finally {
      pending--;
    }
  };
  const datagrams = createSocket('udp4');
  datagrams.on('message', (query, from) => {
    void limited(query, 'udp').then((reply) => {
      if (reply && open(datagrams)) datagrams.send(reply, from.port, from.address, () => {});
    });
  });
  const streams = createServer((socket) => serveStream(socket, limited));
  streams.maxConnections = maxConnections;
  const sockets = new Set<Socket>();
  streams.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const close = () => {
    if (open(datagrams)) datagrams.close();
    streams.close();
    for (const socket of sockets) socket.destroy();
  };
  try {
    await Promise.all([bind(datagrams, address, port), listen(streams, address, port)]);
  } catch (error) {
    close();
    throw error;
  }
  // What arrives too late, or cannot be sent, is for the build to ask again.
  datagrams.on('error', () => {});
  streams.on('error', () => {});
  return { close };
}

/** A socket that was closed has no address. */
function open(socket: Datagrams): boolean {
  try {
    socket.address();
    return true;
  } catch {
    return false;
  }
}

function bind(socket: Datagrams, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}

export function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Each message behind its length (RFC 1035, 4.2.2). */
function serveStream(socket: Socket, answer: Answer): void {
  let pending: Buffer = Buffer.alloc(0);
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const query = pending.subarray(2, 2 + pending.readUInt16BE(0));
      pending = pending.subarray(2 + query.length);
      void answer(query, 'tcp').then((reply) => {
        if (reply && socket.writable) socket.write(framed(reply));
      });
    }
  });
}

/** A message as it goes over a stream. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length, 0);
  return Buffer.concat([length, message]);
}
