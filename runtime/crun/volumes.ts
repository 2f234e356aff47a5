import { normalize } from 'node:path';
import { SandboxError, type SandboxSpec } from '../sandbox.ts';
import type { Place } from './spec.ts';

/** Where we mount or write ourselves: nothing of a build may be in the way. */
const ours = ['/dev', '/etc', '/proc', '/run', '/sys'];

/** Throws SandboxError for paths that root would make outside of the sandbox's own directories, or over ours. */
export function checkPaths({ workspace, volumes = [] }: SandboxSpec): void {
  if (!isPlain(workspace.path)) throw new SandboxError('open', `not a workspace path: ${workspace.path}`);
  for (const { path } of volumes) {
    if (!isPlain(path) || ours.some((own) => holds(own, path)) || holds(path, workspace.path)) {
      throw new SandboxError('open', `a volume cannot be at ${path}`);
    }
    if (volumes.filter((other) => holds(path, other.path)).length > 1) {
      throw new SandboxError('open', `two volumes are at ${path}, or one is below the other`);
    }
  }
}

function isPlain(path: string): boolean {
  return /^(\/[^/\0]+)+$/.test(path) && path === normalize(path);
}

/** Whether a path is the directory, or below it. */
function holds(directory: string, path: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** Where the reader of files sees the workspace, with the volumes in it. */
export const readerWorkspace = '/workspace';

/** What the copier of a volume sees, by its number in the spec. */
export function snapshotPlaces(number: number): Place[] {
  return [
    { source: `disk/v.${number}`, path: snapshotPaths.upper, access: 'ro' },
    { source: merged(number), path: snapshotPaths.volume, access: 'ro' },
    { source: `volume/${number}/target`, path: snapshotPaths.target, access: 'rw' },
  ];
}

/** What the build changed of the volume, all of it, and where the copy goes. */
export const snapshotPaths = { upper: '/upper', volume: '/volume', target: '/target' } as const;

const merged = (number: number) => `volume/${number}/merged`;
