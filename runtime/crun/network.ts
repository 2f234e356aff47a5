import { CommandError, run } from '../command.ts';
import { type Network, SandboxError } from '../sandbox.ts';
import { allowList } from './network/allow-list.ts';
import { listenForNames } from './network/name-server.ts';
import { egressNames, proxyNames } from './network/names.ts';
import { gatewayOf, type Place, placeOf } from './network/place.ts';
import { startProxy } from './network/proxy.ts';
import { createReach, type Exception } from './network/ranges.ts';
import { createConnect } from './network/remote.ts';
import { maxFurtherPorts, ports } from './network/ruleset.ts';
import { createTable } from './network/table.ts';
import { askUpstream, type NameServer, systemNameServers } from './network/upstream.ts';

export interface NetworkOptions {
  /** What builds may reach although it is private. */
  readonly exceptions?: readonly Exception[];
  /** Who knows the names; default: those that this machine asks. */
  readonly nameServers?: readonly NameServer[];
}

/** The way out of one sandbox. */
export interface SandboxNetwork {
  /** Options of the holder (runtime/crun/holder/open.c); none: it is as good as no network. Rejects with SandboxError. */
  readonly options: Promise<readonly string[]>;
  /** Serves the sandbox, whose link has this number. Until it resolves, nothing of the build may run. Throws SandboxError. */
  open(number: number): Promise<void>;
  close(): void;
}

export interface Networks {
  /** Undefined: there is nothing but the loopback. */
  of(network: Network, notice: (line: string) => void): SandboxNetwork | undefined;
}

type Asked = Exclude<Network, { readonly kind: 'none' }>;

const crowded = 'this machine has routes to all private networks that they could be in';

const tooManyPorts = `a list of hosts names at most ${maxFurtherPorts} ports beside 80 and 443`;

/** How often the firewall is looked for while builds run. */
const watchMs = 5_000;

/** What is told of one build. */
const maxNotices = 100;

/** The networks of the sandboxes of this process. */
export function createNetworks(options: NetworkOptions): Networks {
  const { exceptions = [] } = options;
  const nameServers = () => options.nameServers ?? systemNameServers();
  const reach = createReach(exceptions);
  const table = createTable(exceptions);
  const connect = createConnect(nameServers, reach);
  let tried: Promise<void> | undefined;
  let open = 0;
  let watch: NodeJS.Timeout | undefined;

  /** A table that cannot be made again is told by the next build. */
  const watching = (change: 1 | -1) => {
    open += change;
    if (open > 0) watch ??= setInterval(() => void table.ensure().catch(() => {}), watchMs).unref();
    else {
      clearInterval(watch);
      watch = undefined;
    }
  };

  /** Where links of a kind begin. Throws SandboxError. */
  const place = (kind: Asked['kind']): Place => {
    const found = placeOf(kind);
    if (found) return found;
    throw new SandboxError('open', `builds can have no network here: ${crowded}`);
  };

  /** For a build that would rather do without: undefined where the machine cannot do it. */
  const placeIfAble = async (notice: (line: string) => void): Promise<Place | undefined> => {
    try {
      await Promise.all([table.ensure(), (tried ??= tryLink())]);
      return place('egress');
    } catch (error) {
      if (!(error instanceof SandboxError)) throw error;
      notice(`network: none, as ${error.message}`);
      return undefined;
    }
  };

  return {
    of: (network, tell) => {
      if (network.kind === 'none') return undefined;
      const notice = once(tell);
      const allow = network.kind === 'allow' ? allowList(network.hosts) : undefined;
      const further = (allow?.ports ?? []).map((port, i) => ({ port, listenOn: ports.further + i }));
      const placed = (async () => {
        if (further.length > maxFurtherPorts) throw new SandboxError('open', tooManyPorts);
        if (network.kind === 'egress' && network.otherwise === 'none') return await placeIfAble(notice);
        return place(network.kind);
      })();
      placed.catch(() => {});
      const services: { close(): void }[] = [];
      let state: 'new' | 'open' | 'closed' = 'new';

      const serve = async (gateway: string) => {
        const answer = allow
          ? proxyNames(gateway)
          : egressNames({ ask: (query, via) => askUpstream(query, via, nameServers()), reach, notice });
        const keep = (service: { close(): void }) => {
          if (state === 'closed') service.close();
          else services.push(service);
        };
        const names = listenForNames(gateway, ports.dns, answer).then(keep);
        if (!allow) return names;
        const listeners = [
          { port: 80, listenOn: ports.http },
          { port: 443, listenOn: ports.tls },
          ...further,
        ];
        return Promise.all([
          names,
          startProxy({ address: gateway, listeners, allow, connect, notice }).then(keep),
        ]);
      };

      return {
        options: placed.then((found) => {
          if (!found) return [];
          const lead = further.map(({ port, listenOn }) => `${port} : ${listenOn}`).join(', ');
          const link = ['--link', found.link, found.ipv4, found.ipv6 ?? ''];
          return lead === '' ? link : [...link, '--lead', lead];
        }),
        open: async (number) => {
          const found = await placed;
          if (!found || state === 'closed') return;
          state = 'open';
          watching(1);
          const gateway = gatewayOf(found, number);
          const [made, served] = await Promise.allSettled([table.ensure(), serve(gateway)]);
          if (made.status === 'rejected') throw made.reason;
          if (served.status === 'fulfilled') return;
          const message = `cannot serve a build's network at ${gateway}: ${String(served.reason)}`;
          throw new SandboxError('open', message, { cause: served.reason });
        },
        close: () => {
          if (state === 'open') watching(-1);
          state = 'closed';
          for (const service of services.splice(0)) service.close();
        },
      };
    },
  };
}

/** Whether the kernel has pairs of interfaces, tried where nobody sees it. Throws SandboxError. */
async function tryLink(): Promise<void> {
  try {
    await run({ file: 'unshare', args: ['--net', 'ip', 'link', 'add', 'type', 'veth'] });
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    throw new SandboxError(
      'open',
      `builds can have no network here: ${cause.message}; see cofferdam doctor`,
      { cause },
    );
  }
}

/** Each line once, and not too many of them: builds choose what is in them. */
function once(tell: (line: string) => void): (line: string) => void {
  const told = new Set<string>();
  return (line) => {
    if (told.size > maxNotices || told.has(line)) return;
    told.add(line);
    tell(told.size > maxNotices ? 'network: more was denied, and is not shown' : line);
  };
}
