import { CommandError, run, type ToolCommand } from '../command.ts';
import { ImageError, type ImageTrouble } from './image.ts';
import { endsWithUs } from './lifetime.ts';
import type { RegistryReference } from './reference.ts';

/** How to reach the registry. */
export interface RegistryAccess {
  /** Plain HTTP or any certificate will do. */
  readonly insecure: boolean;
  /** A file with credentials, as `skopeo login` or `docker login` writes it; undefined: skopeo's own places. */
  readonly authFile: string | undefined;
}

/** A registry that does not answer a small request within this time is unreachable. */
const inspectTimeout = '60s';

/** skopeo's name for the image; with a digest the tag is left out, for skopeo takes only one of the two. */
export function dockerName({ registry, repository, tag }: RegistryReference, digest?: string): string {
  return `docker://${registry}/${repository}${digest ? `@${digest}` : `:${tag}`}`;
}

/** Prints the manifest, byte by byte as the registry has it. */
export function inspectManifest(name: string, access: RegistryAccess): ToolCommand {
  return inspect(name, access, ['--raw']);
}

/** Prints the image's config, byte by byte. */
export function inspectConfig(name: string, access: RegistryAccess): ToolCommand {
  return inspect(name, access, ['--raw', '--config']);
}

function inspect(name: string, { insecure, authFile }: RegistryAccess, what: readonly string[]): ToolCommand {
  const options = [
    ...(insecure ? ['--tls-verify=false'] : []),
    ...(authFile ? ['--authfile', authFile] : []),
  ];
  const args = [
    '--command-timeout',
    inspectTimeout,
    'inspect',
    ...what,
    '--retry-times',
    '2',
    ...options,
    name,
  ];
  return { file: 'skopeo', args };
}

/**
 * Copies an image's blobs into `directory`/blobs/sha256. A blob whose file is there already, be it empty, is not
 * transferred: that is how layers of the store are left out.
 */
export function copyBlobs(
  name: string,
  { insecure, authFile }: RegistryAccess,
  directory: string,
): ToolCommand {
  const options = [
    ...(insecure ? ['--src-tls-verify=false'] : []),
    ...(authFile ? ['--src-authfile', authFile] : []),
  ];
  return copy(name, directory, [
    '--retry-times',
    '2',
    ...options,
    '--dest-shared-blob-dir',
    `${directory}/blobs`,
  ]);
}

/** Takes an image out of an archive: `transport` is docker-archive, oci-archive or oci, `file` a plain name. */
export function copyArchive(transport: string, file: string, directory: string): ToolCommand {
  return copy(`${transport}:${file}`, directory, []);
}

function copy(from: string, directory: string, options: readonly string[]): ToolCommand {
  const args = [
    '--tmpdir',
    directory,
    'copy',
    '--quiet',
    '--dest-oci-accept-uncompressed-layers',
    ...options,
  ];
  return { file: 'skopeo', args: [...args, from, `oci:${directory}/layout:image`] };
}

/** Runs skopeo; returns its stdout. Throws ImageError with the remedy. */
export async function runSkopeo(command: ToolCommand, signal?: AbortSignal): Promise<Buffer> {
  try {
    // Manifests and configs: skopeo itself takes no more than 4 MiB of one.
    const limits = { maxStdout: 8 * 1024 * 1024 };
    return (await run(endsWithUs(command), { ...limits, ...(signal && { signal }) })).stdout;
  } catch (error) {
    if (error instanceof CommandError) throw explained(error);
    throw error;
  }
}

const remedies: readonly (readonly [reason: RegExp, remedy: string, trouble?: ImageTrouble])[] = [
  [/manifest unknown|name unknown|not found|404/i, 'there is no such image: check its name, tag or digest'],
  [
    /unauthorized|denied|authentication required|401|403/i,
    'the registry denies access: check the name, and log in with `skopeo login` or give --authfile',
  ],
  [/toomanyrequests|429/i, 'the registry limits requests: log in, or try again later', 'unavailable'],
  [
    /HTTP response to HTTPS client/i,
    'the registry speaks plain HTTP: give --insecure-registry (only on this machine), or set up TLS',
  ],
  [/x509|certificate|tls:/i, "the registry's certificate is not trusted: install its authority"],
  [
    /connection refused|no such host|timeout|deadline|unreachable|connection reset|EOF|i\/o/i,
    'the registry cannot be reached: check the name and the network',
    'unavailable',
  ],
  [/does(?: not|n't) match|digest/i, 'what the registry sent does not have the digest it should have'],
  [
    /no space left/i,
    'the disk is full; free some space, for example with `cofferdam image prune`',
    'unavailable',
  ],
];

function explained(error: CommandError): ImageError {
  if (/no such program/.test(error.message) || /failed to execute skopeo/.test(error.stderr)) {
    return new ImageError('skopeo is missing: install it with `apt install skopeo`', { cause: error });
  }
  // skopeo logs `time="…" level=fatal msg="…"`; the message is a quoted Go string.
  const said = /level=fatal msg=("(?:[^"\\]|\\.)*"|\S+)/.exec(error.stderr)?.[1] ?? error.message;
  const message = said.startsWith('"') ? said.slice(1, -1).replaceAll(/\\(.)/g, '$1') : said;
  const reason = message.replace(/^Error (?:parsing image name|initializing source) \S+: /, '');
  const [, remedy, trouble] = remedies.find(([pattern]) => pattern.test(reason)) ?? [];
  return new ImageError(remedy ? `${remedy} (${reason})` : reason, {
    cause: error,
    ...(trouble && { trouble }),
  });
}
