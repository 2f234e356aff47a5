import { expect, test } from 'vitest';
import { UsageError } from '../../../src/usage.ts';
import { hasLabels, labelsOf } from '../../../workers/claim/labels.ts';
import { step, workflow } from '../rehearsal.ts';

const asking = (name: string, labels: Readonly<Record<string, string>>) =>
  workflow(name, [step('a')], { labels });

test('a build asks for what it was submitted with, and for what its workflows ask', () => {
  const workflows = [asking('x', { gpu: 'yes' }), asking('y', { os: 'linux', gpu: 'yes' })] as const;
  expect(labelsOf({ workflows }, { zone: 'eu' })).toEqual({ zone: 'eu', gpu: 'yes', os: 'linux' });
});

test.each([
  [{}, "workflow 'x' asks for platform=linux/amd64"],
  [{ platform: 'linux/amd64' }, "workflow 'x' asks for platform=linux/amd64"],
  [{ platform: 'linux/s390x' }, 'the build itself asks for platform=linux/s390x'],
])('workflows that no one worker can run are an error of the build (%j)', (asked, other) => {
  const workflows = [
    asking('x', {
      platform: 'platform' in asked && asked.platform === 'linux/s390x' ? 'linux/arm64' : 'linux/amd64',
    }),
    asking('y', { platform: 'linux/arm64' }),
  ] as const;
  expect(() => labelsOf({ workflows }, asked)).toThrow(UsageError);
  expect(() => labelsOf({ workflows }, asked)).toThrow(other);
});

test.each([
  [{}, {}, true],
  [{ gpu: 'yes' }, {}, true],
  [{}, { gpu: 'yes' }, false],
  [{ gpu: 'no' }, { gpu: 'yes' }, false],
  [{ gpu: '*', os: 'linux' }, { gpu: 'yes', os: 'linux' }, true],
  [{ gpu: 'yes' }, { gpu: '*' }, false],
])('a worker with %j for %j: %s', (worker, asked, has) => expect(hasLabels(worker, asked)).toBe(has));
