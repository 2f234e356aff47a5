import { readFileSync, writeFileSync } from 'node:fs';
import { CommandError, run } from '../../command.ts';
import { SandboxError } from '../../sandbox.ts';
import { routedLinks } from './place.ts';
import type { Exception } from './ranges.ts';
import { ruleset, tableName } from './ruleset.ts';

/** For how long it counts that the table was there. */
const freshMs = 1_000;

/** The firewall of this machine, as far as it is ours. */
export interface Table {
  /** Makes it unless it is there, with nothing of it changed. Throws SandboxError, with a remedy. */
  ensure(): Promise<void>;
}

/**
 * Others may take the table away at any time (`nft flush ruleset`, a restart of nftables.service), so it is to be looked
 * for often. Several processes may make it at once: nft replaces it in one step.
 */
export function createTable(exceptions: readonly Exception[]): Table {
  let current: Promise<void> | undefined;

  const look = async () => {
    const guarded = letForward();
    const { text, mark } = ruleset({ exceptions, guarded: guarded.links });
    if (!(await hasChain(mark))) await nft(['-f', '-'], Buffer.from(text));
    // The guard comes first: in between, this machine would forward for anybody.
    guarded.apply();
  };

  return {
    ensure: () => {
      if (current) return current;
      const looking = look();
      current = looking;
      const forget = () => {
        if (current === looking) current = undefined;
      };
      looking.then(() => setTimeout(forget, freshMs).unref(), forget);
      return looking;
    },
  };
}

async function hasChain(name: string): Promise<boolean> {
  try {
    await nft(['list', 'chain', 'inet', tableName, name]);
    return true;
  } catch (error) {
    if (error instanceof SandboxError && /No such file or directory/.test(error.message)) return false;
    throw error;
  }
}

async function nft(args: readonly string[], input?: Buffer): Promise<void> {
  try {
    await run({ file: 'nft', args }, { ...(input && { input }) });
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    const why =
      cause.kind === 'missing' ? 'nft is not installed' : cause.stderr.trim().split('\n')[0] || cause.message;
    throw new SandboxError('open', `builds can have no network here: ${why}; see cofferdam doctor`, {
      cause,
    });
  }
}

const settingOf = (link: string) => `/proc/sys/net/ipv4/conf/${link}/forwarding`;

/** What we set where a machine forwards nothing: as good as 1 for the kernel, and whose it is can be told. */
const ours = '2';

/**
 * Answers come back through the machine's own interfaces, which must forward for that. Where they do not yet, they are
 * made to, and guarded: they forward for builds and nobody else.
 */
function letForward(): { readonly links: readonly string[]; apply(): void } {
  const settings = routedLinks().map((link) => ({ link, now: readSetting(settingOf(link)) }));
  const off = settings.filter(({ now }) => now === '0');
  return {
    links: settings.filter(({ now }) => now === '0' || now === ours).map(({ link }) => link),
    apply: () => {
      for (const { link } of off) {
        try {
          writeFileSync(settingOf(link), ours);
        } catch (cause) {
          const remedy = `set net.ipv4.conf.${link}.forwarding, or net.ipv4.ip_forward, to 1`;
          throw new SandboxError('open', `builds can have no network: ${link} does not forward; ${remedy}`, {
            cause,
          });
        }
      }
    },
  };
}

/** Empty: the interface went away meanwhile. */
function readSetting(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
