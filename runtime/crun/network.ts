import { type Network, SandboxError } from '../sandbox.ts';
import { allowList } from './network/allow-list.ts';
import { listenForNames } from './network/name-server.ts';
import { egressNames, proxyNames } from './network/names.ts';
import { gatewayOf, placeOf } from './network/place.ts';
import { startProxy } from './network/proxy.ts';
import { createReach, type Exception } from './network/ranges.ts';
import { createConnect } from './network/remote.ts';
import { ports } from './network/ruleset.ts';
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
  /** Options of the holder (runtime/crun/holder/open.c). */
  readonly options: readonly string[];
  /** Serves the sandbox, whose link has this number. Until it resolves, nothing of the build may run. Throws SandboxError. */
  open(number: number): Promise<void>;
  close(): void;
}

export interface Networks {
  /** Undefined: there is nothing but the loopback. Throws SandboxError where no addresses are free. */
  of(network: Network, notice: (line: string) => void): SandboxNetwork | undefined;
}

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

  return {
    of: (network, tell) => {
      if (network.kind === 'none') return undefined;
      const place = placeOf(network.kind);
      if (!place) {
        throw new SandboxError(
          'open',
          'builds can have no network: this machine has routes to all private networks that they could be in',
        );
      }
      const allow = network.kind === 'allow' ? allowList(network.hosts) : undefined;
      const notice = once(tell);
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
        ];
        return Promise.all([
          names,
          startProxy({ address: gateway, listeners, allow, connect, notice }).then(keep),
        ]);
      };

      return {
        options: ['--link', place.link, place.ipv4, place.ipv6 ?? ''],
        open: async (number) => {
          if (state === 'closed') return;
          state = 'open';
          watching(1);
          const gateway = gatewayOf(place, number);
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

/** Each line once, and not too many of them: builds choose what is in them. */
function once(tell: (line: string) => void): (line: string) => void {
  const told = new Set<string>();
  return (line) => {
    if (told.size > maxNotices || told.has(line)) return;
    told.add(line);
    tell(told.size > maxNotices ? 'network: more was denied, and is not shown' : line);
  };
}
