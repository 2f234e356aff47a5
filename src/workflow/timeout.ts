import type { Reading } from './finding.ts';
import { millisecondsOf } from './quantity.ts';

const longestMs = 168 * 60 * 60 * 1000;

/** Milliseconds of a duration, which is 1s to 168h. */
export function readTimeout(
  timeout: string,
  path: readonly string[],
  { report }: Pick<Reading, 'report'>,
): number {
  const milliseconds = millisecondsOf(timeout);
  if (milliseconds < 1000 || milliseconds > longestMs) {
    report({ path, part: 'value', message: `${path.at(-1)} must be 1s to 168h, not ${timeout}` });
  }
  return milliseconds;
}
