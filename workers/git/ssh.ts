import { quote } from '../../runtime/host/shell.ts';
import type { GitUrl } from '../../src/git/url.ts';

export interface SshFiles {
  readonly privateKey: string;
  readonly knownHosts: string;
}

/**
 * The ssh that git runs, as the line of shell that GIT_SSH_COMMAND is: to this address, whose key must be one that is
 * known for the host, with this key and nothing else of the machine's (configuration, agent, other keys, passwords).
 */
export function sshCommand(url: GitUrl, address: string, files: SshFiles): string {
  const options = {
    BatchMode: 'yes',
    HostName: address,
    HostKeyAlias: knownAs(url),
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: files.knownHosts,
    GlobalKnownHostsFile: '/dev/null',
    UpdateHostKeys: 'no',
    CheckHostIP: 'no',
    CanonicalizeHostname: 'no',
    IdentityFile: files.privateKey,
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    PreferredAuthentications: 'publickey',
    ClearAllForwardings: 'yes',
    ForwardAgent: 'no',
    ControlPath: 'none',
    ProxyCommand: 'none',
    ConnectTimeout: '30',
    ServerAliveInterval: '15',
    // What goes wrong is said, and nothing more: banners are a server's own words.
    LogLevel: 'ERROR',
  };
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return ['ssh', '-F', '/dev/null', '-x', '-T', ...words].map(quote).join(' ');
}

/** What the host is called in known_hosts(5): its port is in the name when it is not 22. */
function knownAs({ host, port }: GitUrl): string {
  const name = host.replace(/^\[|\]$/g, '');
  return port === 22 ? name : `[${name}]:${port}`;
}
