import { compileGlob, GlobError } from './glob.ts';
import type { ArtifactPattern } from './plan.ts';
import type { WorkflowFile } from './schema.ts';
import type { Finding } from './finding.ts';

type Report = (finding: Finding) => void;

/** Artifact patterns, one glob each. Reports those that cannot match a file of the workspace. */
export function readArtifacts(
  artifacts: NonNullable<WorkflowFile['artifacts']>,
  place: readonly string[],
  report: Report,
): ArtifactPattern[] {
  const list = Array.isArray(artifacts);
  return [artifacts].flat().flatMap((artifact, index) => {
    const path = list ? [...place, String(index)] : place;
    if (typeof artifact === 'string') return [readGlob(artifact, 'success', path, report)];
    const { when = 'success' } = artifact;
    const globs = (['path', 'paths'] as const).flatMap((key) => {
      const value = artifact[key] ?? [];
      return [value].flat().map((glob, at) => {
        return readGlob(glob, when, [...path, key, ...(Array.isArray(value) ? [String(at)] : [])], report);
      });
    });
    if (globs.length === 0) {
      report({ path, part: 'value', message: 'the artifact names no files', hint: 'add `path:`' });
    }
    return globs;
  });
}

function readGlob(
  written: string,
  when: ArtifactPattern['when'],
  path: readonly string[],
  report: Report,
): ArtifactPattern {
  const glob = written.replace(/^(\.\/+)+/, '');
  const fault = globFault(glob);
  if (fault) report({ path, part: 'value', ...fault });
  return { glob, when };
}

/** Why a glob cannot match a file of the workspace. */
export function globFault(glob: string): { message: string; hint?: string } | undefined {
  if (glob.trim() === '' || glob === '.') {
    return { message: 'the pattern names no file', hint: "all files of the workspace are '**'" };
  }
  if (glob.includes('\0')) return { message: 'a path cannot hold NUL', hint: 'take it out' };
  if (glob.startsWith('/')) {
    return { message: `'${glob}' is absolute`, hint: 'patterns are relative to the workspace' };
  }
  // Also inside {..,a} and (..|a).
  if (glob.split(/[/{},()|]/).includes('..')) {
    return { message: `'${glob}' leaves the workspace`, hint: 'patterns cannot contain ..' };
  }
  if (glob.startsWith('!')) {
    return {
      message: `'${glob}' is refused: no pattern excludes`,
      hint: "name what is wanted, as 'dist/*.tgz'",
    };
  }
  if (glob.endsWith('/')) {
    return { message: `'${glob}' is a directory`, hint: `its files are '${glob}**'` };
  }
  try {
    compileGlob(glob, 'explicit');
  } catch (error) {
    if (!(error instanceof GlobError)) throw error;
    return { message: error.message, hint: 'a character is taken as it is after \\' };
  }
  return undefined;
}
