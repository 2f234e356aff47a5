import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { RemoteError } from './remote-error.ts';

/** Whether a host may be one of a private network; the machines' own metadata services it may never be. */
export type Hosts = 'public' | 'internal';

/** All addresses of a name, as getaddrinfo(3) sorts them: the one to try first is the first. */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** What gives a machine in a cloud its credentials, wherever it runs. */
const metadata = blockList(
  // AWS, Azure, GCP, OpenStack and others; AWS's for containers.
  '169.254.0.0/16 fe80::/10 ' +
    // AWS over IPv6, GCP over IPv6, Alibaba, Oracle, Azure's wire server.
    'fd00:ec2::/32 fd20:ce::/32 100.100.100.200/32 192.0.0.192/32 168.63.129.16/32',
);

/** IANA's registry of special-purpose addresses (RFC 6890), as far as nobody's public server can be there. */
const special = blockList(
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 ' +
    '192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 ' +
    '2001::/23 2001:db8::/32 3fff::/20',
);

/** The only block of IPv6 that is given out for public use. */
const globalUnicast = blockList('2000::/3');

/**
 * The addresses of a host, the one to try first in front: an address, with or without brackets, stands for itself.
 * They are what was checked, so the caller must connect to them and not ask for the name again. One bad address is
 * enough to refuse the name: who answers with such a mix is up to something. Throws RemoteError.
 */
export async function resolveHost(
  host: string,
  hosts: Hosts,
  look: Lookup = systemLookup,
): Promise<readonly [string, ...string[]]> {
  const literal = host.replace(/^\[|\]$/g, '');
  const found = isIP(literal) === 0 ? await lookUp(host, look) : [literal];
  const [first, ...rest] = found;
  if (first === undefined) throw new RemoteError('unreachable', `the host ${host} has no address`);
  const bad = found.find((address) => !isAllowed(address, hosts));
  if (bad === undefined) return [first, ...rest];
  const remedy =
    hosts === 'public'
      ? '; for a forge in a private network, register the repository with `cofferdam repo add --hosts internal`'
      : '';
  throw new RemoteError('refused', `the host ${host} is at ${bad}, which builds must not reach${remedy}`);
}

/** Whether a worker may talk to an address, an IPv4 address inside an IPv6 one included. */
export function isAllowed(address: string, hosts: Hosts): boolean {
  const inner = embeddedIPv4(address);
  if (inner !== undefined) return isAllowed(inner, hosts);
  if (contains(metadata, address)) return false;
  if (hosts === 'internal') return true;
  if (contains(special, address) || isOwn(address)) return false;
  return isIPv4(address) || contains(globalUnicast, address);
}

/**
 * The IPv4 address that an IPv6 address leads to: IPv4-mapped and -compatible (RFC 4291), NAT64 (RFC 6052, RFC 8215),
 * 6to4 (RFC 3056).
 */
function embeddedIPv4(address: string): string | undefined {
  if (!isIPv6(address)) return undefined;
  const groups = groupsOf(address);
  const [a = 0, b = 0, c = 0] = groups;
  const [last = 0, end = 0] = groups.slice(6);
  const zeros = (from: number, to: number) => groups.slice(from, to).every((group) => group === 0);
  if (zeros(0, 5) && groups[5] === 0xffff) return dotted(last, end);
  // `::` and `::1` are addresses of their own, which no list needs to hold as IPv4.
  if (zeros(0, 6) && last !== 0) return dotted(last, end);
  if (a === 0x64 && b === 0xff9b && (zeros(2, 6) || c === 1)) return dotted(last, end);
  if (a === 0x2002) return dotted(b, c);
  return undefined;
}

/** The eight numbers of an IPv6 address. */
function groupsOf(address: string): number[] {
  const written = new URL(`http://[${address.replace(/%.*/, '')}]`).hostname.slice(1, -1);
  const [head = '', tail] = written.split('::');
  const numbers = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [before, after] = [numbers(head), numbers(tail ?? '')];
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

const dotted = (high: number, low: number) => [high >> 8, high & 255, low >> 8, low & 255].join('.');

/** The worker's own services listen on its public address too. */
function isOwn(address: string): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some((own) => own.address === address));
}

async function lookUp(host: string, look: Lookup): Promise<readonly string[]> {
  try {
    return await look(host);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RemoteError('unreachable', `the host ${host} cannot be resolved: ${reason}`, { cause });
  }
}

const systemLookup: Lookup = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/** Of networks with a space between them. */
function blockList(networks: string): BlockList {
  const list = new BlockList();
  for (const network of networks.split(' ')) {
    const [address = '', prefix] = network.split('/');
    list.addSubnet(address, Number(prefix), isIPv4(address) ? 'ipv4' : 'ipv6');
  }
  return list;
}

const contains = (list: BlockList, address: string) => list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
