import type { Sandbox, WorkspaceFile } from '../runtime/sandbox.ts';
import type { ArtifactStore } from '../src/artifacts.ts';
import type { ArtifactRecord } from '../src/build.ts';
import { baseOf, compileGlob } from '../src/workflow/glob.ts';
import type { ArtifactPattern } from '../src/workflow/plan.ts';

/** What a build may hand over. */
export interface ArtifactCaps {
  readonly files: number;
  readonly bytes: number;
}

export const defaultArtifactCaps: ArtifactCaps = { files: 10_000, bytes: 4 * 1024 ** 3 };

/** Most files of the workspace that are looked at. */
const maxListed = 2_000_000;

/** The build hands over more than it may; the message says how much, and what to do. */
export class ArtifactError extends Error {
  override readonly name = 'ArtifactError';
}

/**
 * Copies the files that match out of the sandbox, in path order; a leading dot is matched only by a dot. Warns of a
 * pattern that matches nothing. Throws ArtifactError, SandboxError.
 * @param keptOf the workflow that has handed over a file of this path before
 */
export async function collectArtifacts(
  sandbox: Sandbox,
  patterns: readonly ArtifactPattern[],
  store: ArtifactStore,
  caps: ArtifactCaps,
  warn: (message: string) => void,
  keptOf: (path: string) => string | undefined = () => undefined,
): Promise<ArtifactRecord[]> {
  if (patterns.length === 0) return [];
  const files = await select(sandbox, patterns, warn);
  checkCaps(files, caps);
  for (const { path } of files) {
    const other = keptOf(path);
    if (other === undefined) continue;
    const remedy = 'let each write to a directory of its own';
    throw new ArtifactError(`artifacts: workflow '${other}' has handed over ${path} already; ${remedy}`);
  }
  const records: ArtifactRecord[] = [];
  try {
    await sandbox.read(files, {
      begin: (file) => store.begin(file),
      data: (chunk) => store.data(chunk),
      end: async () => void records.push(await store.end()),
    });
  } catch (error) {
    await store.discard();
    throw error;
  }
  return records;
}

async function select(
  sandbox: Sandbox,
  patterns: readonly ArtifactPattern[],
  warn: (message: string) => void,
): Promise<WorkspaceFile[]> {
  const globs = patterns.map(({ glob }) => glob.replace(/^(\.\/)+/, '').replace(/\/$/, '/**'));
  const listed = await sandbox.list(outermost(globs.map(baseOf)), maxListed);
  const chosen = new Map<string, WorkspaceFile>();
  for (const glob of globs) {
    const matches = compileGlob(glob, 'explicit');
    let found = 0;
    for (const file of listed) {
      if (!matches(file.path)) continue;
      chosen.set(file.path, file);
      found++;
    }
    if (found === 0) warn(`artifacts: nothing matches '${glob}'`);
  }
  return [...chosen.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Directories to walk: none below another, so that no file is listed twice. */
function outermost(bases: readonly string[]): string[] {
  const unique = [...new Set(bases)];
  if (unique.includes('')) return [''];
  return unique.filter((base) => !unique.some((other) => other !== base && base.startsWith(`${other}/`)));
}

function checkCaps(files: readonly WorkspaceFile[], caps: ArtifactCaps): void {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  if (files.length > caps.files) {
    throw new ArtifactError(
      `artifacts: ${files.length} files, at most ${caps.files}; pack them into an archive`,
    );
  }
  if (bytes > caps.bytes) {
    throw new ArtifactError(
      `artifacts: ${bytes} bytes, at most ${caps.bytes}; choose fewer or smaller files`,
    );
  }
}
