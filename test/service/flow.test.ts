import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BuildRecord } from '../../src/build.ts';
import { createSite, project, type Site } from './site.ts';

let site: Site;
beforeAll(async () => {
  site = await createSite();
  await site.up();
});
afterAll(() => site[Symbol.asyncDispose]());

/** The record of a build, which both commands print last. */
async function build(...args: readonly string[]): Promise<BuildRecord> {
  const { stdout, stderr } = await site.command(...args, '--json');
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  expect(last, stderr).toMatch(/^{"type":"end"/);
  const { record }: { record: BuildRecord } = JSON.parse(last);
  return record;
}

/** How each workflow ended, for whose failure, and its steps. */
const endsOf = ({ workflows }: BuildRecord) =>
  Object.fromEntries(
    workflows.map(({ name, status, because, steps }) => {
      const said = steps.map((step) => `${step.name} ${step.status}`).join(', ');
      return [name, `${status}${because === undefined ? '' : ` for ${because}`}: ${said}`];
    }),
  );

/** Workflow files, by the names of their workflows. */
const filesOf = (workflows: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(workflows).map(([name, text]) => [`.cofferdam/${name}.yaml`, text]));

const graph = {
  bad: 'steps: [{ name: bad, script: exit 3 }, { name: mend, commands: cat no, when: { status: failure }, failure: ignore }]',
  good: `steps:
  - { name: second, needs: [first, { name: never, optional: true }], script: [seq 2, echo 3] }
  - { name: first, needs: [], commands: echo 1 }
  - { name: never, needs: first, commands: exit 1, when: { event: tag } }
`,
  nightly: 'when: { event: cron }\nsteps: [{ name: a, commands: exit 1 }]',
  optional: 'needs: [good, { name: nightly, optional: true }]\nsteps: [{ name: a, commands: echo }]',
  required: 'depends_on: [good, nightly]\nsteps: [{ name: a, commands: exit 1 }]',
  'after-required': 'needs: required\nsteps: [{ name: a, commands: exit 1 }]',
  plain: 'depends_on: [good, bad]\nsteps: [{ name: a, commands: exit 1 }]',
  always: 'runs_on: [success, failure]\ndepends_on: [bad, good]\nsteps: [{ name: a, commands: echo }]',
  'after-plain': 'when: { status: [success, failure] }\nneeds: plain\nsteps: [{ name: a, commands: echo }]',
  rescue: 'runs_on: [failure]\nneeds: bad\nsteps: [{ name: a, commands: echo }]',
  'no-rescue': 'runs_on: [failure]\nneeds: good\nsteps: [{ name: a, commands: exit 1 }]',
};

const stopped = {
  stops: `steps:
  - { name: stop, commands: [sleep 1, exit 1], failure: cancel }
  - { name: after, commands: echo, when: { status: [success, failure] } }
`,
  beside: 'steps: [{ name: long, commands: sleep 100 }, { name: after, commands: echo }]',
  notify: 'needs: stops\nwhen: { status: failure }\nsteps: [{ name: a, commands: echo }]',
};

describe.each<[string, (dir: string) => Promise<BuildRecord>]>([
  ['the service', (dir) => build('submit', dir, '--follow')],
  ['cofferdam run', (dir) => build('run', dir, '--event', 'push')],
])('with %s', (_, make) => {
  test('workflows wait for what is in the build, and run in the states that they name', async () => {
    const record = await make(project(site, 'graph', filesOf(graph)));
    expect(record).toMatchObject({ status: 'failed', reason: 'exit' });
    expect(endsOf(record)).toEqual({
      bad: 'failed: bad failed, mend failed',
      good: 'passed: second passed, first passed',
      optional: 'passed: a passed',
      plain: 'skipped for bad: a skipped',
      always: 'passed: a passed',
      'after-plain': 'passed: a passed',
      rescue: 'passed: a passed',
      'no-rescue': 'skipped: a skipped',
    });
  });

  test('`failure: cancel` ends the workflows beside it, and nothing begins any more', async () => {
    const record = await make(project(site, 'stopped', filesOf(stopped)));
    expect(record).toMatchObject({ status: 'failed', reason: 'exit' });
    expect(endsOf(record)).toEqual({
      stops: 'failed: stop failed, after skipped',
      // On a busy machine it may not have begun.
      beside: expect.stringMatching(/^(canceled|skipped): long (canceled|skipped), after skipped$/),
      notify: 'skipped: a skipped',
    });
  });
});
