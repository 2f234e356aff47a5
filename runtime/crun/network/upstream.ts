import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns';
import { connect, isIPv6 } from 'node:net';
import { framed, type Transport } from './name-server.ts';

/** How long one server has to answer. */
const patienceMs = 2_500;

export interface NameServer {
  readonly address: string;
  readonly port: number;
}

/** Those of this machine's /etc/resolv.conf, as it is now. */
export function systemNameServers(): NameServer[] {
  return new Resolver().getServers().map((text) => {
    const [, bracketed, address = text, port] = /^(?:\[(.+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
    return { address: bracketed ?? address, port: Number(port ?? 53) };
  });
}

/** Passes a query on, as it is, to the first server that answers it; undefined: none does. */
export async function askUpstream(
  query: Buffer,
  transport: Transport,
  servers: readonly NameServer[],
): Promise<Buffer | undefined> {
  // An id of our own, so that nobody can foresee it and answer in the server's place.
  const id = randomInt(65_536);
  const asked = Buffer.from(query);
  asked.writeUInt16BE(id, 0);
  for (const server of servers) {
    const reply = await (transport === 'udp' ? overUdp : overTcp)(asked, server);
    if (!reply) continue;
    const answer = Buffer.from(reply);
    answer.writeUInt16BE(query.readUInt16BE(0), 0);
    return answer;
  }
  return undefined;
}

function overUdp(query: Buffer, { address, port }: NameServer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address.replace(/%.*/, '')) ? 'udp6' : 'udp4');
    const end = (reply?: Buffer) => {
      clearTimeout(timer);
      socket.removeAllListeners('message').close();
      resolve(reply);
    };
    const timer = setTimeout(end, patienceMs);
    socket.once('error', () => end());
    socket.on('message', (reply) => {
      if (belongs(reply, query)) end(reply);
    });
    // Connected, so that the kernel drops what others send.
    socket.connect(port, address, () => socket.send(query, (error) => error && end()));
  });
}

function overTcp(query: Buffer, { address, port }: NameServer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    let have: Buffer = Buffer.alloc(0);
    const end = (reply?: Buffer) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reply);
    };
    const timer = setTimeout(end, patienceMs);
    socket.on('error', () => end());
    socket.on('close', () => end());
    socket.on('data', (chunk: Buffer) => {
      have = Buffer.concat([have, chunk]);
      if (have.length < 2 || have.length < 2 + have.readUInt16BE(0)) return;
      const reply = have.subarray(2, 2 + have.readUInt16BE(0));
      end(belongs(reply, query) ? reply : undefined);
    });
    socket.write(framed(query));
  });
}

/** A response (RFC 1035, 4.1.1) to this query. */
function belongs(reply: Buffer, query: Buffer): boolean {
  return (
    reply.length >= 12 && reply.readUInt16BE(0) === query.readUInt16BE(0) && ((reply[2] ?? 0) & 0x80) !== 0
  );
}
