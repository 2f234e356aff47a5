import { BlockList, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** IPv4 networks that builds do not reach: IANA's special-purpose registry (RFC 6890) but for documentation's. */
export const blockedIPv4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  // Carrier-grade NAT; Alibaba's metadata service.
  '100.64.0.0/10',
  '127.0.0.0/8',
  // Link-local; the metadata services of AWS, Azure, GCP, OpenStack.
  '169.254.0.0/16',
  '172.16.0.0/12',
  // Azure's wire server.
  '168.63.129.16/32',
  // Oracle's metadata service is in it.
  '192.0.0.0/24',
  // 6to4 relays.
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  // Multicast, reserved, broadcast.
  '224.0.0.0/4',
  '240.0.0.0/4',
] as const;

/**
 * The only block of IPv6 that is given out for public use. What is private (fc00::/7, with AWS's metadata service),
 * link-local, mapped IPv4, NAT64 or multicast is outside of it.
 */
export const publicIPv6 = '2000::/3';

/** Inside of it, addresses that lead to IPv4 ones: Teredo and 6to4. */
export const blockedIPv6 = ['2001::/32', '2002::/16'] as const;

/** What an administrator lets builds reach although it is blocked. */
export interface Exception {
  /** An address or a network, `10.1.2.0/24`. */
  readonly network: string;
  /** TCP and UDP; undefined: all ports. */
  readonly port?: number;
}

/** Whether builds may reach an address; without a port: at some port of it. */
export type Reach = (address: string, port?: number) => boolean;

/** The rules of the firewall (ruleset.ts), for what this process does in the name of builds. */
export function createReach(exceptions: readonly Exception[]): Reach {
  const blocked = blockListOf([...blockedIPv4, ...blockedIPv6]);
  const open = blockListOf([publicIPv6]);
  const excepted = exceptions.map(({ network, port }) => ({ port, networks: blockListOf([network]) }));
  return (address, port) => {
    const exception = excepted.some(
      (each) =>
        (each.port === undefined || port === undefined || each.port === port) &&
        contains(each.networks, address),
    );
    if (exception) return true;
    if (contains(blocked, address) || isOwn(address)) return false;
    return isIPv4(address) || contains(open, address);
  };
}

/** This machine's services listen on its public addresses too. */
function isOwn(address: string): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some((own) => own.address === address));
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, familyOf(address));
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = familyOf(address);
    list.addSubnet(address, Number(prefix ?? (family === 'ipv4' ? 32 : 128)), family);
  }
  return list;
}

const familyOf = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6');
