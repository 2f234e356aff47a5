/** Hosts that a build may talk to. Pure. */
export interface AllowList {
  /** Whether a name is on the list for a port. */
  has(name: string, port: number): boolean;
  /** Ports that are named, other than 80 and 443. */
  readonly ports: readonly number[];
  /** The one host that a port other than 80 and 443 can lead to; undefined: there are several, or a `*.`. */
  only(port: number): string | undefined;
}

const usual: readonly number[] = [80, 443];

interface Entry {
  /** Lower case; of `*.name`, `.name`. */
  readonly name: string;
  readonly ports: readonly number[];
}

/** @param hosts `name`, `*.name`, each with or without `:port`; without one it is 80 and 443 */
export function allowList(hosts: readonly string[]): AllowList {
  const entries = hosts.map(parse);
  const on = (port: number) => entries.filter(({ ports }) => ports.includes(port));
  return {
    has: (asked, port) => {
      const name = asked.toLowerCase().replace(/\.$/, '');
      return on(port).some((entry) =>
        entry.name.startsWith('.') ? name.endsWith(entry.name) : name === entry.name,
      );
    },
    ports: [...new Set(entries.flatMap(({ ports }) => ports))]
      .filter((port) => !usual.includes(port))
      .toSorted((a, b) => a - b),
    only: (port) => {
      const names = new Set(on(port).map(({ name }) => name));
      const [name] = names;
      if (usual.includes(port) || names.size !== 1 || name?.startsWith('.')) return undefined;
      return name;
    },
  };
}

function parse(host: string): Entry {
  const [, star, name = '', port] = /^(\*)?([^:]*)(?::(\d+))?$/.exec(host.toLowerCase()) ?? [];
  if (name === '' || (star !== undefined) !== name.startsWith('.'))
    throw new TypeError(`not a host: ${host}`);
  return { name: name.replace(/\.$/, ''), ports: port === undefined ? usual : [Number(port)] };
}
