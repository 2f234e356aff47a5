import {
  ConditionError,
  isSplit,
  type Circumstances,
  readCondition,
  type RunsOn,
  statesOf,
  type When,
} from './conditions.ts';
import type { Reading } from './finding.ts';
import type { ConditionFile } from './when-schema.ts';

/**
 * In which states something runs, by its `when`; empty: not in this build. What cannot be judged is reported.
 *
 * @param circumstances undefined: every condition is taken to hold
 */
export function readWhen(
  when: ConditionFile | readonly ConditionFile[] | undefined,
  path: readonly string[],
  circumstances: Circumstances | undefined,
  { report, scalar }: Reading,
): RunsOn {
  if (when === undefined) return ['success'];
  const list = isList(when);
  const holding: When[] = [];
  for (const [index, file] of (list ? when : [when]).entries()) {
    const at = list ? [...path, String(index)] : path;
    try {
      const condition = readCondition(withWrittenNumbers(file, at, scalar));
      if (circumstances === undefined || condition.holds(circumstances)) holding.push(condition);
    } catch (error) {
      if (!(error instanceof ConditionError)) throw error;
      report({ path: [...at, error.key], part: 'value', message: error.message });
    }
  }
  return statesOf(holding);
}

/** A matrix has its values as they are written: `GO: 1.10` is no condition for 1.1. */
function withWrittenNumbers(
  file: ConditionFile,
  path: readonly string[],
  scalar: Reading['scalar'],
): ConditionFile {
  const { matrix } = file;
  if (matrix === undefined) return file;
  const at = [...path, 'matrix'];
  const written = (values: Readonly<Record<string, unknown>>, key?: string): Record<string, string> => {
    const place = key === undefined ? at : [...at, key];
    const texts = Object.keys(values).map((name) => [name, scalar([...place, name])?.source ?? ''] as const);
    return Object.fromEntries(texts);
  };
  if (!isSplit(matrix)) return { ...file, matrix: written(matrix) };
  const { include, exclude } = matrix;
  const split = {
    ...(include && { include: written(include, 'include') }),
    ...(exclude && { exclude: written(exclude, 'exclude') }),
  };
  return { ...file, matrix: split };
}

function isList(when: ConditionFile | readonly ConditionFile[]): when is readonly ConditionFile[] {
  return Array.isArray(when);
}
