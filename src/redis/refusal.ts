import { connect, type NetConnectOpts } from 'node:net';
import type { RedisAddress } from './address.ts';

/** Much more than a server needs to say that it lets nobody in. */
const greetingMs = 1_000;

/**
 * Why a server lets nobody in who may reach it, and what to do; undefined: that is not what is wrong.
 * @param told all that the errors of the attempt say
 */
export async function refusalOf(
  address: RedisAddress,
  encrypted: boolean,
  told: string,
): Promise<string | undefined> {
  const known = inWords(told);
  if (known !== undefined || encrypted || !/EPIPE|ECONNRESET|closed/.test(told)) return known;
  for (const place of placesOf(address)) {
    const greeting = inWords(await greetingOf(place));
    if (greeting !== undefined) return greeting;
  }
  return undefined;
}

function inWords(told: string): string | undefined {
  if (/\bDENIED\b.*protected mode/s.test(told)) {
    return (
      'is in protected mode: without a password it talks to its own machine alone. Give it one (requirepass in ' +
      'redis.conf) and write it in COFFERDAM_REDIS_URL: redis://:PASSWORD@HOST.'
    );
  }
  if (/\bmax number of clients reached\b/.test(told)) {
    return 'has as many clients as it takes. Raise maxclients in redis.conf, or end some.';
  }
  if (/\bNOAUTH\b/.test(told)) {
    return (
      'wants a password. Write it in COFFERDAM_REDIS_URL: redis://:PASSWORD@HOST, with a user of its ACL ' +
      'redis://USER:PASSWORD@HOST.'
    );
  }
  if (/\bWRONGPASS\b/.test(told)) {
    return (
      'knows no such user and password. Correct those in COFFERDAM_REDIS_URL; signs such as @, : and / are written ' +
      'as %40, %3A and %2F there.'
    );
  }
  return undefined;
}

function placesOf(address: RedisAddress): readonly NetConnectOpts[] {
  if (address.kind === 'socket') return [{ path: address.path }];
  if (address.kind === 'cluster') return address.nodes;
  return address.kind === 'sentinel' ? address.sentinels : [address.at];
}

/** What a server says unasked, which it only does to refuse: who writes to it then loses the answer with the connection. */
function greetingOf(place: NetConnectOpts): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ ...place, timeout: greetingMs });
    socket.setEncoding('utf8').on('data', (part: string) => (text += part));
    socket.on('timeout', () => socket.destroy()).on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}
