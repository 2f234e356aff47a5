import {
  ConditionError,
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
  { report }: Reading,
): RunsOn {
  if (when === undefined) return ['success'];
  const list = isList(when);
  const holding: When[] = [];
  for (const [index, file] of (list ? when : [when]).entries()) {
    try {
      const condition = readCondition(file);
      if (circumstances === undefined || condition.holds(circumstances)) holding.push(condition);
    } catch (error) {
      if (!(error instanceof ConditionError)) throw error;
      const at = list ? [...path, String(index)] : path;
      report({ path: [...at, error.key], part: 'value', message: error.message });
    }
  }
  return statesOf(holding);
}

function isList(when: ConditionFile | readonly ConditionFile[]): when is readonly ConditionFile[] {
  return Array.isArray(when);
}
