import { CommandError, run } from '../command.ts';
import { placeOf } from '../crun/network/place.ts';
import { ruleset, tableName } from '../crun/network/ruleset.ts';
import type { Finding, Host, Requirement } from './requirement.ts';
import { findTool } from './tools.ts';

/** A chain of nft's JSON (libnftables-json(5)) that packets meet first. */
interface BaseChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

/** Builds without a network run all the same, so nothing here keeps a machine from being fit. */
async function probeNetwork(host: Host): Promise<Finding> {
  if (host.uid !== 0) return { status: 'warn', detail: 'not tried: takes root' };
  const nft = findTool(host, 'nft');
  if (!nft) return { status: 'warn', detail: 'builds have no network without nft' };
  const trouble = await tryRules(nft);
  if (trouble !== undefined) {
    const text = 'use a kernel with nf_tables, its fib, nat, reject and connlimit (any distribution kernel)';
    return { status: 'warn', detail: trouble, remedy: { kind: 'advice', text } };
  }
  const place = placeOf('egress');
  if (!place) {
    const text = 'builds have no network while routes lead to all of 10/8, 172.16/12, 192.168/16, 198.18/15';
    return { status: 'warn', detail: 'no private network is free', remedy: { kind: 'advice', text } };
  }
  const chains = await baseChains(nft);
  const closed = chains.filter(
    ({ table, hook = '', policy }) =>
      table !== tableName && policy === 'drop' && ['forward', 'input'].includes(hook),
  );
  if (closed.length > 0) {
    const names = closed.map(({ family, table, name }) => `${family} ${table} ${name}`);
    const detail = `another firewall drops what it does not know: ${names.join(', ')}`;
    const text = `let through what comes from and goes to interfaces cfd*; see docs/hosts.md`;
    return { status: 'warn', detail, remedy: { kind: 'advice', text } };
  }
  const families = place.ipv6 === undefined ? 'IPv4 (this machine does not forward IPv6)' : 'IPv4 and IPv6';
  const table = chains.some((chain) => chain.table === tableName)
    ? `table inet ${tableName} is there`
    : `table inet ${tableName} comes with the first build`;
  return { status: 'ok', detail: `${families}; ${table}` };
}

/** Makes the table in a network namespace of its own, which ends at once. Undefined: it worked; else why not. */
async function tryRules(nft: string): Promise<string | undefined> {
  const { text } = ruleset({ exceptions: [], guarded: [] });
  try {
    await run({ file: 'unshare', args: ['--net', nft, '-f', '-'] }, { input: Buffer.from(text) });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return error.stderr.trim().split('\n')[0] ?? error.message;
  }
}

async function baseChains(nft: string): Promise<BaseChain[]> {
  const { stdout } = await run({ file: nft, args: ['-j', 'list', 'chains'] });
  const { nftables }: { nftables: readonly { readonly chain?: BaseChain }[] } = JSON.parse(stdout.toString());
  return nftables.flatMap(({ chain }) => chain ?? []);
}

export const networkRequirements: readonly Requirement[] = [
  { id: 'network', purpose: 'lets builds reach the internet', neededFor: 'builds', probe: probeNetwork },
];
