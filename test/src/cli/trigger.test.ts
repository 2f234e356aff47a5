import { expect, test } from 'vitest';
import { triggerInWords } from '../../../src/cli/trigger.ts';
import type { Trigger } from '../../../src/trigger.ts';

const pull = { number: 7, sourceBranch: 'fix', targetBranch: 'main' };

test.each<readonly [Trigger, string]>([
  [{ kind: 'manual' }, 'submitted'],
  [{ kind: 'manual', actor: 'admin of ci' }, 'submitted by admin of ci'],
  [{ kind: 'push', branch: 'main', actor: 'ada' }, 'push to main by ada'],
  [{ kind: 'tag', tag: 'v1' }, 'tag v1'],
  [{ kind: 'cron', name: 'nightly', branch: 'main' }, 'cron nightly on main'],
  [
    { kind: 'pull_request', pullRequest: { ...pull, from: { kind: 'same-repository' } } },
    'pull request 7, fix into main',
  ],
  [
    { kind: 'pull_request', pullRequest: { ...pull, from: { kind: 'fork' } }, actor: 'eve' },
    'pull request 7, fix of a fork into main by eve',
  ],
])('%j', (trigger, words) => {
  expect(triggerInWords(trigger)).toBe(words);
});
