import { once } from 'node:events';
import { createServer, connect, type NetConnectOpts, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Which way nothing comes through: from the client, to it, or both. Bytes wait, as when packets are dropped. */
export type Blockage = 'none' | 'up' | 'down' | 'both';

/** A cable between a process and a server, which a test can cut. */
export interface Link {
  readonly port: number;
  block(which: Blockage): void;
  /** Each chunk, either way, comes so much later. */
  delay(ms: number): void;
  /** Resets all connections. */
  sever(): void;
  close(): Promise<void>;
}

/** Listens on the loopback, and passes on to the target for each connection. */
export async function openLink(target: NetConnectOpts): Promise<Link> {
  const sockets = new Set<Socket>();
  let blocked: Blockage = 'none';
  let delayMs = 0;
  let changed = Promise.withResolvers<void>();

  const isBlocked = (way: 'up' | 'down') => blocked === way || blocked === 'both';
  const cable = (way: 'up' | 'down') =>
    new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        const arrive = async () => {
          while (isBlocked(way)) await changed.promise;
          if (delayMs > 0) await sleep(delayMs);
        };
        void arrive().then(() => done(null, chunk));
      },
    });
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect(target);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    // How a connection ended is for its two ends to say.
    pipeline(client, cable('up'), upstream).catch(() => {});
    pipeline(upstream, cable('down'), client).catch(() => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');

  const sever = () => {
    for (const socket of sockets) socket.destroy();
  };
  const block = (which: Blockage) => {
    blocked = which;
    changed.resolve();
    changed = Promise.withResolvers();
  };
  return {
    port: address.port,
    block,
    delay: (ms) => (delayMs = ms),
    sever,
    close: async () => {
      block('none');
      sever();
      server.close();
      await once(server, 'close');
    },
  };
}
