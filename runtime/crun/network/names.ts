/** What builds are answered when they ask for names. */

import { type Answer as DnsRecord, type DecodedPacket, decode, encode, type Question } from 'dns-packet';
import type { Answer, Transport } from './name-server.ts';
import type { Reach } from './ranges.ts';

/** What is asked, and the id to answer with. */
interface Query {
  readonly id: number;
  readonly question: Question;
}

/** Response codes (RFC 1035, 4.1.1). */
const codes = { noError: 0, serverFailure: 2, refused: 5 } as const;

export interface EgressNames {
  /** Passes a query on to the servers of this machine; undefined: none answers. */
  readonly ask: (query: Buffer, transport: Transport) => Promise<Buffer | undefined>;
  readonly reach: Reach;
  readonly notice: (line: string) => void;
}

/**
 * As the name servers of this machine answer, which builds cannot reach themselves; but no address that the firewall
 * would not let them talk to: that would only make them wait, and tell of private networks.
 */
export function egressNames({ ask, reach, notice }: EgressNames): Answer {
  return async (bytes, transport) => {
    const query = parse(bytes);
    if (!query) return undefined;
    const reply = await ask(bytes, transport);
    if (!reply) return response(query, codes.serverFailure);
    const packet = read(reply);
    if (!packet) return response(query, codes.serverFailure);
    const hidden = addressesOf(packet).find((address) => !reach(address));
    if (hidden === undefined) return reply;
    notice(`network: denied ${written(query.question.name)} (it is at ${hidden}, which builds do not reach)`);
    return response(query, codes.refused);
  };
}

const ttlSeconds = 60;

/**
 * Every name is at our proxy, which is the only thing that the build can reach and decides by the name that the
 * connection itself says. So nothing is asked of anybody, and nothing can be told by asking.
 */
export function proxyNames(gateway: string): Answer {
  return (bytes) => {
    const query = parse(bytes);
    if (!query) return Promise.resolve(undefined);
    const { name, type } = query.question;
    const answers: DnsRecord[] = type === 'A' ? [{ name, type, ttl: ttlSeconds, data: gateway }] : [];
    return Promise.resolve(response(query, codes.noError, answers));
  };
}

/** Undefined: nothing that could be answered. */
function parse(bytes: Buffer): Query | undefined {
  const packet = read(bytes);
  const [question, ...others] = packet?.questions ?? [];
  const opcode = ((bytes[2] ?? 0) >> 3) & 15;
  if (!packet || packet.type !== 'query' || opcode !== 0 || !question || others.length > 0) return undefined;
  return { id: packet.id ?? 0, question };
}

/** Undefined: malformed. */
function read(bytes: Buffer): DecodedPacket | undefined {
  try {
    return decode(bytes);
  } catch {
    return undefined;
  }
}

function response({ id, question }: Query, code: number, answers: DnsRecord[] = []): Buffer {
  // Recursion desired, and available.
  return encode({ type: 'response', id, flags: 0x0180 | code, questions: [question], answers });
}

function addressesOf({ answers = [], additionals = [] }: DecodedPacket): string[] {
  return [...answers, ...additionals].flatMap((record) =>
    record.type === 'A' || record.type === 'AAAA' ? [record.data] : [],
  );
}

/** A name as it may stand in a log, whoever made it up. */
export function written(name: string): string {
  return name.replaceAll(/[^\w.*:-]/g, '?').slice(0, 253);
}
