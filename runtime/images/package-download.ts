import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, run, type ToolCommand } from '../command.ts';
import { ImageError } from './image.ts';
import { endsWithUs } from './lifetime.ts';
import { machineArchitecture } from './architecture.ts';
import { packageSources } from './package-sources.ts';
import type { BootstrapReference } from './reference.ts';
import type { Progress } from './workplace.ts';

/** What is to be installed. */
export interface Archives {
  /** It has the .deb files, and nothing else that ends so. */
  readonly directory: string;
  readonly count: number;
}

/**
 * Downloads the packages that are to be added to an image, and what they depend on and the image has not: none when it
 * has them all. `root` is the image's own directory, `work` an empty one. Throws ImageError.
 */
export async function downloadPackages(
  { suite, added }: BootstrapReference,
  root: string,
  work: string,
  progress: Progress,
): Promise<Archives> {
  const apt = join(work, 'apt');
  for (const directory of ['state/lists/partial', 'cache/archives/partial', 'etc/sources']) {
    mkdirSync(join(apt, directory), { recursive: true });
  }
  const lines = await packageSources(suite);
  // A suite that this machine does not know: what mmdebstrap made the image from.
  const sources = lines.length > 0 ? lines.join('\n') : readFileSync(join(root, 'etc/apt/sources.list'));
  writeFileSync(join(apt, 'etc/sources.list'), sources);
  const config = join(apt, 'apt.conf');
  writeFileSync(config, aptConfig(apt, join(root, 'var/lib/dpkg/status')));
  try {
    progress(`reading the package lists of ${suite}`);
    await run(aptCommand(config, ['update']));
    await run(aptCommand(config, ['install', '--download-only', '--', ...added]), {
      onStdout: onLines((line) => {
        const size = /^Need to get (\S+ \S*B)(?:\/| of archives)/.exec(line)?.[1];
        if (size !== undefined) progress(`downloading ${size} of packages`);
      }),
    });
  } catch (error) {
    throw error instanceof CommandError ? explained(error, suite) : error;
  }
  const directory = join(apt, 'cache/archives');
  return { directory, count: readdirSync(directory).filter((name) => name.endsWith('.deb')).length };
}

/**
 * Of the machine's own configuration only its keys count, as with mmdebstrap. It has to come by APT_CONFIG: apt has
 * looked for further files before it reads options.
 */
function aptConfig(directory: string, status: string): string {
  const architecture = machineArchitecture();
  return [
    `Dir "${directory}";`,
    `Dir::State "${directory}/state";`,
    `Dir::Cache "${directory}/cache";`,
    `Dir::Etc "${directory}/etc";`,
    `Dir::Etc::SourceList "${directory}/etc/sources.list";`,
    'Dir::Etc::Trusted "/etc/apt/trusted.gpg";',
    'Dir::Etc::TrustedParts "/etc/apt/trusted.gpg.d/";',
    `Dir::State::Status "${status}";`,
    `APT::Architecture "${architecture}";`,
    `APT::Architectures { "${architecture}"; };`,
    'APT::Install-Recommends "false";',
    'APT::Get::Assume-Yes "true";',
    'APT::Sandbox::User "root";',
    'APT::Update::Error-Mode "any";',
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    // It would lie beside the image's status file; nobody else uses these directories.
    'Debug::NoLocking "true";',
    '',
  ].join('\n');
}

/** Alone in a PID namespace, so that none of it outlives us. */
function aptCommand(config: string, words: readonly string[]): ToolCommand {
  const namespaces = ['--pid', '--mount', '--mount-proc', '--fork', '--kill-child=KILL'];
  return endsWithUs({
    file: 'env',
    args: [`APT_CONFIG=${config}`, 'LC_ALL=C', 'unshare', ...namespaces, '--', 'apt-get', '-q', ...words],
  });
}

function onLines(take: (line: string) => void): (chunk: Buffer) => void {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  };
}

function explained(error: CommandError, suite: string): ImageError {
  const said = error.stderr.split('\n').flatMap((line) => /^E: (.*)/.exec(line)?.[1] ?? []);
  const unknown = said.flatMap((line) => /^Unable to locate package (\S+)/.exec(line)?.[1] ?? []);
  if (unknown.length > 0) {
    return new ImageError(
      `${suite} has no package ${unknown.join(', ')}: check the name at https://packages.debian.org`,
      { cause: error },
    );
  }
  if (error.exitCode === 127) {
    return new ImageError('apt-get is missing: packages can be added where the machine itself has apt', {
      cause: error,
    });
  }
  const unreachable = said.some((line) => /^(?:Failed to fetch|Some index files failed)/.test(line));
  return new ImageError(`${said[0] ?? error.message}; run \`apt-get update\` to test the package sources`, {
    cause: error,
    ...(unreachable && { trouble: 'unavailable' }),
  });
}
