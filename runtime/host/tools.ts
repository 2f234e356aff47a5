import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, run } from '../command.ts';
import { atLeast } from './version.ts';
import type { Finding, Host, Requirement } from './requirement.ts';

interface Tool {
  readonly name: string;
  /** The Debian package that has it. */
  readonly package: string;
  readonly purpose: string;
}

const tools: readonly Tool[] = [
  { name: 'skopeo', package: 'skopeo', purpose: 'pulls images' },
  { name: 'mmdebstrap', package: 'mmdebstrap', purpose: 'makes bootstrap: images' },
  { name: 'newuidmap', package: 'uidmap', purpose: 'lets mmdebstrap work in a user namespace' },
  { name: 'tar', package: 'tar', purpose: 'unpacks layers' },
  { name: 'zstd', package: 'zstd', purpose: 'unpacks zstd layers' },
  { name: 'mkfs.ext4', package: 'e2fsprogs', purpose: 'makes disks of hard size' },
  { name: 'ssh', package: 'openssh-client', purpose: 'lets git fetch over ssh' },
  { name: 'flock', package: 'util-linux', purpose: 'guards set-up against itself' },
  { name: 'setpriv', package: 'util-linux', purpose: 'ties helpers to the life of this process' },
  { name: 'unshare', package: 'util-linux', purpose: 'lets doctor try namespaces' },
  { name: 'mount', package: 'mount', purpose: 'lets doctor try mounts' },
  { name: 'ip', package: 'iproute2', purpose: 'sets up build networks' },
  { name: 'nft', package: 'nftables', purpose: 'filters build networks' },
];

/** The absolute path of a tool, or undefined. */
export function findTool(host: Host, name: string): string | undefined {
  return host.path
    .map((directory) => join(directory, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
}

function toolRequirement(tool: Tool): Requirement {
  return {
    id: tool.name,
    purpose: tool.purpose,
    neededFor: 'builds',
    probe: (host) => probeTool(host, tool),
  };
}

function probeTool(host: Host, tool: Tool): Finding {
  const found = findTool(host, tool.name);
  if (found) return { status: 'ok', detail: found, file: found };
  return {
    status: 'missing',
    detail: 'not on PATH',
    remedy: { kind: 'packages', names: [tool.package] },
  };
}

const crun: Tool = { name: 'crun', package: 'crun', purpose: 'starts containers' };

/** 1.8 is what Debian 12 has and what the sandbox is tested with. */
const oldestCrun = '1.8';
/** First with the fix for CVE-2026-47766 (device nodes made through a symlink in the image). */
const safestCrun = '1.28';

async function probeCrun(host: Host): Promise<Finding> {
  const finding = await probeVersion(host, crun, oldestCrun);
  if (finding.status !== 'ok' || atLeast(finding.detail, safestCrun)) return finding;
  const detail = `${finding.detail}; older than ${safestCrun}, so the sandbox itself must cover CVE-2026-47766, and does`;
  return { ...finding, detail };
}

const git: Tool = {
  name: 'git',
  package: 'git',
  purpose: 'fetches sources, and tells which files are ignored',
};

/** First with `http.curloptResolve`: without it, git might talk to another address than the one that was checked. */
const oldestGit = '2.37';

/** What is `ok` has the version as its detail. */
async function probeVersion(host: Host, tool: Tool, oldest: string): Promise<Finding> {
  const file = findTool(host, tool.name);
  if (!file) return probeTool(host, tool);
  let printed: string;
  try {
    printed = (await run({ file, args: ['--version'] })).stdout.toString();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return {
      status: 'missing',
      detail: `does not run: ${error.message}`,
      remedy: { kind: 'advice', text: `reinstall it: apt-get install --reinstall ${tool.package}` },
    };
  }
  const version = new RegExp(`^${tool.name} version (\\S+)`).exec(printed)?.[1] ?? 'unknown';
  if (atLeast(version, oldest)) return { status: 'ok', detail: version, file };
  const text = `install ${tool.name} ${oldest} or newer (Debian 12 and Ubuntu 24.04 have it)`;
  return { status: 'missing', detail: `version ${version}`, remedy: { kind: 'advice', text } };
}

const redisServers = ['valkey-server', 'redis-server'] as const;

function findRedis(host: Host): Finding | undefined {
  const file = redisServers.map((name) => findTool(host, name)).find((found) => found !== undefined);
  return file === undefined ? undefined : { status: 'ok', detail: file, file };
}

/** Builds need no Redis, and `up` can use one elsewhere: a machine without is fit, and its owner should know. */
const redisForUp: Requirement = {
  id: 'redis-server',
  purpose: 'keeps the queue of `cofferdam up`',
  neededFor: 'builds',
  probe: (host) =>
    findRedis(host) ?? {
      status: 'warn',
      detail: `no ${redisServers.join(' or ')} on PATH`,
      remedy: {
        kind: 'advice',
        text: 'for `cofferdam up`: install redis-server, or set COFFERDAM_REDIS_URL',
      },
    },
};

/** `up` on a fresh clone sets it up. */
const redisForService: Requirement = {
  ...redisForUp,
  neededFor: 'service',
  probe: (host) =>
    findRedis(host) ?? {
      status: 'missing',
      detail: `no ${redisServers.join(' or ')} on PATH`,
      remedy: { kind: 'packages', names: ['redis-server'] },
    },
};

const certificates = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
];

/** The programs and files of the distribution that builds need. */
export const toolRequirements: readonly Requirement[] = [
  { id: 'crun', purpose: crun.purpose, neededFor: 'builds', probe: probeCrun },
  {
    id: 'git',
    purpose: git.purpose,
    neededFor: 'builds',
    probe: (host) => probeVersion(host, git, oldestGit),
  },
  ...tools.map(toolRequirement),
  redisForUp,
  redisForService,
  {
    id: 'ca-certificates',
    purpose: 'lets skopeo trust registries',
    neededFor: 'builds',
    probe: (host) => {
      const found = certificates.find((file) => statSync(join(host.root, file), { throwIfNoEntry: false }));
      if (found) return { status: 'ok', detail: found, file: found };
      return {
        status: 'missing',
        detail: 'no certificate bundle',
        remedy: { kind: 'packages', names: ['ca-certificates'] },
      };
    },
  },
];
