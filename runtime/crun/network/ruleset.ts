/** The firewall between builds and everything else: one table for all of them, the same all the time. Pure. */

import { createHash } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { linkNames } from './place.ts';
import { blockedIPv4, blockedIPv6, type Exception, publicIPv6 } from './ranges.ts';

export const tableName = 'cofferdam';

/** Where this process listens on the gateway of a build; what builds send to the usual ports is led there. */
export const ports = {
  dns: 24_053,
  http: 24_080,
  tls: 24_443,
  /** The first of those for further ports of lists of hosts. */
  further: 24_100,
} as const;

/** Ports beside 80 and 443 that a list of hosts may name. */
export const maxFurtherPorts = 16;

/** Connections that the builds of one link may have at one time: the machine has one table for those of all. */
const maxConnections = 8192;

/** Datagrams a second that a build may ask for names with: a worker has more to do than to answer one build. */
const maxQuestions = 500;

/** What is refused, by why. */
const counters = [
  'spoofed',
  'to_host',
  'to_build',
  'to_private',
  'not_allowed',
  'too_many',
  'invalid',
  'from_outside',
  'guarded',
] as const;

export interface RulesetOptions {
  readonly exceptions: readonly Exception[];
  /** Interfaces that forward for builds alone. */
  readonly guarded: readonly string[];
}

export interface Ruleset {
  /** For `nft -f`; puts itself in the place of an older one in one step. */
  readonly text: string;
  /** A chain without rules, whose name tells whether the table is this one. */
  readonly mark: string;
}

/** The text for nft(8), with a counter for each thing that is refused. */
export function ruleset({ exceptions, guarded }: RulesetOptions): Ruleset {
  const { egress, allow } = linkNames;
  const any = '"cfd*"';
  const further = `${ports.further}-${ports.further + maxFurtherPorts - 1}`;
  const body = `
  set blocked4 { type ipv4_addr; flags interval; ${elements(blockedIPv4)} }
  set blocked6 { type ipv6_addr; flags interval; ${elements(blockedIPv6)} }
  set guarded { type ifname; ${elements(guarded.map((link) => `"${link}"`))} }
  set questions { type ifname; size 65535; flags dynamic; timeout 1m; }
  set connections { type ifname; size 65535; flags dynamic; }
${counters.map((name) => `  counter ${name} { }`).join('\n')}

  # At once, so that builds fail and do not wait. The kernel sends few ICMP errors a second, and any number of resets.
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }

  # Rules and no set: these may overlap, which a set of intervals refuses.
  chain exceptions {
${exceptions.map(exceptionRule).join('\n')}
  }

  # Nobody speaks in another's name.
  chain source {
    type filter hook prerouting priority raw;
    iifname ${any} fib saddr . iif oif missing counter name spoofed drop
  }

  # Names are asked of us. Builds with a list of hosts get no further than to our proxy.
  chain lead {
    type nat hook prerouting priority dstnat;
    iifname ${any} meta l4proto { tcp, udp } th dport 53 fib daddr . iif type local redirect to :${ports.dns}
    iifname "${allow}*" tcp dport 80 redirect to :${ports.http}
    iifname "${allow}*" tcp dport 443 redirect to :${ports.tls}
  }

  # Of the host, builds reach what serves their own link, and no other address or port.
  chain host {
    type filter hook input priority filter;
    iifname != ${any} accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ct state related accept
    fib daddr . iif type local udp dport ${ports.dns} add @questions { iifname limit rate over ${maxQuestions}/second burst ${maxQuestions} packets } counter name too_many drop
    fib daddr . iif type local meta l4proto { tcp, udp } th dport ${ports.dns} accept
    iifname "${allow}*" fib daddr . iif type local tcp dport { ${ports.http}, ${ports.tls}, ${further} } accept
    iifname "${egress}*" jump exceptions
    counter name to_host goto refuse
  }

  chain forward {
    type filter hook forward priority filter;
    iifname ${any} goto from_build
    oifname ${any} goto to_build
    # Where the machine itself forwards nothing, it still does not, but for builds.
    meta nfproto ipv4 iifname @guarded counter name guarded drop
  }

  chain from_build {
    iifname != "${egress}*" counter name not_allowed goto refuse
    oifname ${any} counter name to_build goto refuse
    ct state established,related accept
    ct state invalid counter name invalid drop
    add @connections { iifname ct count over ${maxConnections} } counter name too_many drop
    jump exceptions
    ip daddr @blocked4 counter name to_private goto refuse
    ip6 daddr != ${publicIPv6} counter name to_private goto refuse
    ip6 daddr @blocked6 counter name to_private goto refuse
    meta l4proto { tcp, udp, icmp, icmpv6 } accept
    counter name not_allowed goto refuse
  }

  chain to_build {
    ct state established,related accept
    counter name from_outside drop
  }

  chain leave {
    type nat hook postrouting priority srcnat;
    iifname "${egress}*" oifname != ${any} masquerade
  }
`;
  const mark = `is_${createHash('sha256').update(body).digest('hex').slice(0, 16)}`;
  const table = `table inet ${tableName}`;
  return {
    text: `add ${table}\ndelete ${table}\n${table} {\n  chain ${mark} { }\n${body}}\n`,
    mark,
  };
}

function exceptionRule({ network, port }: Exception): string {
  const family = isIPv4(network.split('/')[0] ?? '') ? 'ip' : 'ip6';
  return `    meta l4proto { tcp, udp } ${family} daddr ${network}${port === undefined ? '' : ` th dport ${port}`} accept`;
}

const elements = (list: readonly string[]) => (list.length > 0 ? `elements = { ${list.join(', ')} }` : '');
