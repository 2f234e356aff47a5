/** Which addresses the networks of builds have. Pure but for placeOf(). */

import { readFileSync } from 'node:fs';
import type { Network } from '../../sandbox.ts';

/** Networks of one kind at a time; as in runtime/crun/holder/link.c. */
const links = 4096;

/** What the host's ends of links are called; the kind of network is in the name, which is what the firewall goes by. */
export const linkNames = { egress: 'cfde', allow: 'cfda' } as const satisfies Record<
  Exclude<Network['kind'], 'none'>,
  string
>;

/** Two addresses a link, for `egress` first, then for `allow`: a /18. */
const poolBits = 18;

/** Private networks that are seldom used, to take the first that no route of the machine is about. */
const pools = ['10.213.0.0', '172.29.0.0', '192.168.192.0', '10.87.64.0', '198.19.0.0', '100.113.0.0'];

/** A network of our own (RFC 4193). */
const poolIPv6 = 'fd63:6f66:6665::';

/** Where the links of one kind of network begin. */
export interface Place {
  readonly link: string;
  /** The host's address of link 0; each link has the next two, the host's and the build's. */
  readonly ipv4: string;
  /** The same; undefined: builds have no IPv6, as the machine does not forward it. */
  readonly ipv6: string | undefined;
}

/** The host's address of a link, which builds know as gateway and name server. */
export function gatewayOf({ ipv4 }: Place, number: number): string {
  return dotted(numberOf(ipv4) + 2 * number);
}

/** A place that is in nobody's way; undefined: all are taken. Reads the routes of this machine. */
export function placeOf(kind: keyof typeof linkNames): Place | undefined {
  const pool = freePool(read('/proc/net/route'));
  if (pool === undefined) return undefined;
  const link = linkNames[kind];
  if (kind === 'allow') return { link, ipv4: dotted(numberOf(pool) + 2 * links), ipv6: undefined };
  const forwards = read('/proc/sys/net/ipv6/conf/all/forwarding').trim() === '1';
  const ipv6 = forwards && hasDefaultRoute(read('/proc/net/ipv6_route')) ? poolIPv6 : undefined;
  return { link, ipv4: pool, ipv6 };
}

/** @param table as /proc/net/route: hexadecimal, in the byte order of the machine, which is little-endian */
export function freePool(table: string): string | undefined {
  const routes = parseRoutes(table).filter(({ link, bits }) => bits > 0 && !link.startsWith('cfd'));
  return pools.find((pool) =>
    routes.every((route) => {
      const common = Math.min(route.bits, poolBits);
      return numberOf(pool) >>> (32 - common) !== route.network >>> (32 - common);
    }),
  );
}

/** Interfaces of this machine that have routes, those of builds left out. */
export function routedLinks(): string[] {
  const routed = parseRoutes(read('/proc/net/route')).map(({ link }) => link);
  return [...new Set(routed)].filter((link) => !link.startsWith('cfd')).toSorted();
}

interface Route {
  readonly link: string;
  readonly network: number;
  readonly bits: number;
}

function parseRoutes(table: string): Route[] {
  const lines = table.trim().split('\n').slice(1);
  return lines.map((line) => {
    const [link = '', network = '', , , , , , mask = ''] = line.split('\t');
    return { link, network: swapped(network), bits: 32 - Math.log2(2 ** 32 - swapped(mask)) };
  });
}

/** @param table as /proc/net/ipv6_route */
function hasDefaultRoute(table: string): boolean {
  return table.split('\n').some((line) => /^0{32} 00 /.test(line) && !line.trimEnd().endsWith(' lo'));
}

const swapped = (hex: string) => Buffer.from(hex, 'hex').readUInt32LE(0);

const numberOf = (address: string) => Buffer.from(address.split('.').map(Number)).readUInt32BE(0);

const dotted = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');

/** Empty where the kernel has no such thing, as without IPv6. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
