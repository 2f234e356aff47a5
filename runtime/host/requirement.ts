import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The machine as the probes see it. */
export interface Host {
  /** Where `/proc`, `/sys`, `/etc`, `/dev` are looked for: `/`, or a directory of files that stand for them. */
  readonly root: string;
  /** Directories where tools are looked for, in order. */
  readonly path: readonly string[];
  readonly uid: number;
  /** As uname -r: `6.18.44-cloud`. */
  readonly kernelRelease: string;
  /** Where images and disks will be kept; it need not exist yet. */
  readonly dataDir: string;
}

/** What would make a finding go away. */
export type Remedy =
  /** Debian packages. */
  | { readonly kind: 'packages'; readonly names: readonly [string, ...string[]] }
  /** A command, as argv. */
  | {
      readonly kind: 'command';
      /** What it does, as a phrase: `compile the holder`. */
      readonly title: string;
      readonly args: readonly [string, ...string[]];
      readonly needsRoot: boolean;
    }
  /** Something only the machine's owner can decide or do. */
  | { readonly kind: 'advice'; readonly text: string };

export type Finding =
  /** `file`: what was found; without it the requirement is no longer met. */
  | { readonly status: 'ok'; readonly detail: string; readonly file?: string }
  /** Works, or could not be looked at; worth knowing. */
  | { readonly status: 'warn'; readonly detail: string; readonly remedy?: Remedy }
  | { readonly status: 'missing'; readonly detail: string; readonly remedy: Remedy };

/** One thing a machine must have. */
export interface Requirement {
  /** Stable; scripts that read `doctor --json` rely on it. */
  readonly id: string;
  /** What it is for, as a phrase: `starts containers`. */
  readonly purpose: string;
  /** What cannot be done without it: run builds at all, strangers' builds, the whole service, this project's tests. */
  readonly neededFor: 'builds' | 'untrusted' | 'service' | 'tests';
  readonly probe: (host: Host) => Finding | Promise<Finding>;
}

/** A small file of the host's `/proc`, `/sys` or `/etc`, trimmed; undefined when it cannot be read. */
export function readHostFile(host: Host, path: string): string | undefined {
  try {
    return readFileSync(join(host.root, path), 'utf8').trim();
  } catch {
    return undefined;
  }
}
