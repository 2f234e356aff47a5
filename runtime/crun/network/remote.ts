import { Resolver } from 'node:dns/promises';
import { connect, isIP, isIPv4, type Socket } from 'node:net';
import type { Reach } from './ranges.ts';
import type { NameServer } from './upstream.ts';

const patienceMs = 10_000;

/** A server on the list that cannot be talked to; the message says why, in few words. */
export class RemoteServerError extends Error {
  override readonly name = 'RemoteServerError';
}

/** Connects to a server by its name. Throws RemoteServerError. */
export type Connect = (name: string, port: number) => Promise<Socket>;

/** Names are resolved here, whatever the build takes them for; only what builds may reach counts. */
export function createConnect(servers: () => readonly NameServer[], reach: Reach): Connect {
  return async (name, port) => {
    const found = await addressesOf(name, servers());
    const addresses = found.filter((address) => reach(address, port));
    if (found.length === 0) throw new RemoteServerError('no such name');
    if (addresses.length === 0) {
      throw new RemoteServerError(`it is at ${found[0]}, which builds do not reach`);
    }
    return await connected(name, port, addresses);
  };
}

async function addressesOf(name: string, servers: readonly NameServer[]): Promise<string[]> {
  if (isIP(name) !== 0) return [name];
  const resolver = new Resolver({ timeout: 2_500, tries: 2 });
  resolver.setServers(
    servers.map(({ address, port }) => (isIPv4(address) ? `${address}:${port}` : `[${address}]:${port}`)),
  );
  const [ipv4, ipv6] = await Promise.all(
    [resolver.resolve4(name), resolver.resolve6(name)].map((asking) => asking.catch(() => [])),
  );
  return [...(ipv4 ?? []), ...(ipv6 ?? [])];
}

/** To the first address that answers (RFC 8305). */
function connected(name: string, port: number, addresses: readonly string[]): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: name,
      port,
      allowHalfOpen: true,
      autoSelectFamily: true,
      lookup: (_name, _options, callback) =>
        callback(
          null,
          addresses.map((address) => ({ address, family: isIP(address) })),
        ),
    });
    const fail = (why: string, cause?: unknown) => {
      socket.destroy();
      reject(new RemoteServerError(why, { cause }));
    };
    const timer = setTimeout(() => fail('it does not answer'), patienceMs);
    socket.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      fail(error.code === 'ECONNREFUSED' ? 'it refuses the connection' : 'it does not answer', error);
    });
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error').setNoDelay(true);
      resolve(socket);
    });
  });
}
