import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, type ToolCommand } from '../command.ts';
import { installFrom } from './archive.ts';
import { ImageError } from './image.ts';
import { madeOnce } from './making.ts';
import { packageSources } from './package-sources.ts';
import type { ImageRecord } from './records.ts';
import { type BootstrapReference, canonical } from './reference.ts';
import type { Progress, Store } from './workplace.ts';

/**
 * Makes the image, without the packages added to it, with mmdebstrap, or waits for another process that makes the same
 * one. Throws ImageError.
 */
export async function bootstrapImage(
  store: Store,
  reference: BootstrapReference,
  how: 'missing' | 'anew',
  progress: Progress,
): Promise<ImageRecord> {
  return await madeOnce(store, reference, how, progress, async (work) => {
    progress(`making ${canonical(reference)} with mmdebstrap (about half a minute)`);
    const temporary = join(work, 'mmdebstrap');
    mkdirSync(temporary, { mode: 0o755 });
    const command = mmdebstrapCommand(reference, await packageSources(reference.suite), temporary);
    try {
      return await installFrom(store, work, command, (line) => {
        const phase = /^I: ([^/]+)\.\.\.$/.exec(line)?.[1];
        if (phase !== undefined) progress(phase);
      });
    } catch (error) {
      throw error instanceof CommandError ? explained(error) : error;
    }
  });
}

const forbidServices = [
  // 101: "action forbidden by policy" (invoke-rc.d(8)). Packages that a build installs must not start daemons.
  'printf \'#!/bin/sh\\nexit 101\\n\' > "$1/usr/sbin/policy-rc.d"',
  'chmod 755 "$1/usr/sbin/policy-rc.d"',
].join(' && ');

/** mmdebstrap, printing a tar of the root file system; alone in a PID namespace, so that none of it outlives us. */
export function mmdebstrapCommand(
  { suite, packages }: BootstrapReference,
  sources: readonly string[],
  temporary: string,
): ToolCommand {
  const mmdebstrap = [
    'mmdebstrap',
    '--mode=root',
    '--variant=minbase',
    '--format=tar',
    // In a user namespace apt cannot change to its own user; these two stay in the image.
    '--aptopt=APT::Sandbox::User "root"',
    '--skip=chroot/policy-rc.d',
    `--extract-hook=${forbidServices}`,
    ...(packages.length > 0 ? [`--include=${packages.join(',')}`] : []),
    suite,
    '-',
    ...sources,
  ];
  const namespaces = ['--pid', '--mount', '--mount-proc', '--fork', '--kill-child=KILL'];
  return {
    file: 'env',
    args: [`TMPDIR=${temporary}`, 'LC_ALL=C', 'unshare', ...namespaces, '--', ...mmdebstrap],
  };
}

function explained(error: CommandError): ImageError {
  if (error.exitCode === 127 || error.kind === 'missing') {
    return new ImageError('mmdebstrap is missing: install it with `apt install mmdebstrap`', {
      cause: error,
    });
  }
  const said = error.stderr.split('\n').filter((line) => /^(?:E|W): /.test(line));
  const reason = said.find((line) => line.startsWith('E: ') && !/subprocess|failed to run/i.test(line));
  const why = reason?.slice('E: '.length) ?? error.message;
  return new ImageError(
    `${why}; check the suite and the package names, or run \`apt-get update\` to test the sources`,
    {
      cause: error,
    },
  );
}
