import { describe, expect, test } from 'vitest';
import type { BuildRecord, Reason, StepStatus } from '../../../src/build.ts';
import { resultOf } from '../../../workers/claim/result.ts';
import { workflowsOf } from '../../src/workflow/planned.ts';
import { play, step } from '../rehearsal.ts';

const { record: played } = await play({ steps: [step('one')] });

/** A build of workflows that ended so, each with the `retry:` of its file. */
function told(
  status: BuildRecord['status'],
  reason: Reason,
  ends: Readonly<Record<string, readonly [StepStatus, retry?: object]>>,
) {
  const files = Object.entries(ends).map(([name, [, retry]]) => [
    name,
    { ...(retry && { retry }), steps: [{ image: 'a', commands: 'true' }] },
  ]);
  const workflows = workflowsOf(Object.fromEntries(files));
  const records = Object.entries(ends).map(([name, [ended]]) => ({ name, status: ended, steps: [] }));
  const record: BuildRecord = { ...played, status, reason, message: 'why', workflows: records };
  return resultOf(record, { workflows });
}

describe('a build that the platform failed', () => {
  test.each([
    [{ a: ['errored'] }, 3],
    [{ a: ['errored', { max: 0 }] }, 1],
    [{ a: ['errored', { max: 1, when: ['infrastructure'] }] }, 2],
    [{ a: ['errored', { max: 3 }] }, 4],
    [{ a: ['errored', { max: 3 }], b: ['errored', { max: 1 }] }, 2],
    [{ a: ['errored', { max: 3 }], b: ['passed', { max: 0 }] }, 4],
    [{ a: ['passed', { max: 0 }] }, undefined],
  ] as const)('%j may have tries in all: %s', (ends, mostTries) => {
    const result = told('errored', 'sandbox', ends);
    expect(result).toMatchObject({ kind: 'infrastructure', reason: 'sandbox', message: 'why' });
    expect('mostTries' in result ? result.mostTries : undefined).toBe(mostTries);
  });

  test.each<[BuildRecord['status'], Reason]>([
    ['failed', 'exit'],
    ['errored', 'image'],
    ['errored', 'source'],
    ['timed_out', 'timeout'],
  ])('is no build that is %s by reason %s: that has ended', (status, reason) => {
    expect(told(status, reason, { a: [status, { max: 3 }] }).kind).toBe('finished');
  });
});
