import { isIP } from 'node:net';
import { type ContainerSpec, SandboxError } from '../sandbox.ts';

/** Names of the sandbox itself, which every container has. */
const own = '127.0.0.1 localhost cofferdam\n::1 localhost ip6-localhost\n';

/** The text of a container's /etc/hosts. Throws SandboxError for what is no name or no address. */
export function hostsFile({ name: container, hosts = {} }: ContainerSpec): string {
  const lines = Object.entries(hosts).map(([name, address]) => {
    if (!/^[\w.-]+$/.test(name) || isIP(address) === 0) {
      throw new SandboxError(
        'start',
        `container ${container}: not a host name and its address: ${name} ${address}`,
      );
    }
    return `${address} ${name}\n`;
  });
  return own + lines.join('');
}
