import type { AddressInfo } from 'node:net';

/** Where this machine reaches what listens at an address. */
export function urlAt({ address, port }: Pick<AddressInfo, 'address' | 'port'>): string {
  return `http://${reachable(address)}:${port}`;
}

/** Where a server listens; what listens nowhere, as in tests, is at `http://localhost`. */
export function publicUrlOf(address: AddressInfo | string | null): string {
  return typeof address === 'object' && address ? urlAt(address) : 'http://localhost';
}

/** An address for who listens on all of them. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
