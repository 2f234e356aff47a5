import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSite, project, type Site, until } from './site.ts';

let site: Site;
beforeAll(async () => {
  site = await createSite();
  await site.up();
});
afterAll(() => site[Symbol.asyncDispose]());

const idIn = (text: string) => /^\w{26}/m.exec(text)?.[0] ?? '';

test('all workflows of a source are one build, which is followed, shown and recorded as such', async () => {
  const dir = project(site, 'several', {
    '.cofferdam/build.yaml': `services:
  - { name: helper, image: tiny, commands: [echo ready, sleep 100], ready: { log: ready } }
steps:
  - { name: a, commands: [seq 1 3], depends_on: [] }
  - { name: b, commands: [seq 4 5, exit 3], depends_on: [] }
  - { name: c, commands: [seq 6 7], depends_on: [b] }
`,
    '.cofferdam/docs.yaml': 'steps: [{ name: write, commands: [seq 8 9] }]',
    '.cofferdam/deploy.yaml': 'depends_on: [build, docs]\nsteps: [{ name: ship, commands: [seq 10 11] }]',
  });
  const followed = await site.command('submit', dir, '--follow');
  expect(followed.code, followed.stderr).toBe(1);
  const lines = followed.stdout.split('\n');
  expect(lines).toEqual(
    expect.arrayContaining(['build/service:helper | ready', 'build/a | 3', 'build/b | 5', 'docs/write | 9']),
  );
  expect(followed.stdout).not.toMatch(/^(build\/c|deploy\/ship) \|/m);

  const id = idIn(followed.stderr);
  const { workflows } = await site.show(id);
  expect(workflows).toMatchObject([
    {
      name: 'build',
      status: 'failed',
      reason: 'exit',
      services: [{ name: 'helper', status: 'passed' }],
      steps: [
        { name: 'a', status: 'passed', dependsOn: [] },
        { name: 'b', status: 'failed', exitCode: 3 },
        { name: 'c', status: 'skipped', because: 'b' },
      ],
    },
    { name: 'deploy', status: 'skipped', because: 'build', dependsOn: ['build', 'docs'] },
    { name: 'docs', status: 'passed' },
  ]);
  const shown = (await site.command('show', id)).stdout;
  expect(shown).toMatch(/^deploy: skipped, as build failed \(after build, docs\)$/m);
  expect(shown).toMatch(/^c +skipped, as b failed +- +- +b$/m);

  const log = await site.command('logs', id);
  expect(log.code).toBe(0);
  // The same lines, each with whose it is; only what ran side by side may come in another order.
  expect(log.stdout.split('\n').toSorted()).toEqual(lines.toSorted());
  const bytes = (await site.command('logs', id, '--raw')).stdout;
  expect(bytes.split('\n').toSorted()).toEqual(lines.map((line) => line.replace(/^.*? \| /, '')).toSorted());

  const events = await site.command('logs', id, '--json');
  expect(events.stdout).toMatch(/"type":"log",.*"workflow":"docs","step":"write"/);
  expect(events.stdout).toMatch(/"type":"service",.*"workflow":"build",.*"name":"helper"/);
});

test('a build that no workflow is for has passed, and says why nothing ran', async () => {
  const dir = project(site, 'nothing', {
    '.cofferdam.yaml': 'when: { event: cron }\nsteps: [{ commands: [exit 1] }]',
  });
  const { code, stderr } = await site.command('submit', dir, '--follow');
  expect(code).toBe(0);
  expect(stderr).toContain('no workflow is for this build (cofferdam: its `when` does not hold)\npassed');
});

test('workflows go to a worker that has their labels, and ones that no worker can have are invalid', async () => {
  const dir = project(site, 'labels', {
    '.cofferdam/a.yaml': 'labels: { board: big }\nsteps: [{ commands: [echo on board] }]',
    '.cofferdam/b.yaml': 'steps: [{ commands: [echo anywhere] }]',
  });
  const id = (await site.command('submit', dir)).stdout.trim();
  await until('a worker to give it back', async () =>
    (await site.show(id)).waiting?.includes('board=big') ? true : undefined,
  );
  const second = site.start(['worker', '--id', 'second', '--label', 'board=*', '--slots', '1']);
  const record = await until('an end', async () => {
    const shown = await site.show(id);
    return shown.finishedAt === undefined ? undefined : shown;
  });
  expect(record).toMatchObject({ status: 'passed' });
  expect(record.attempts?.at(-1)).toMatchObject({ worker: 'second', status: 'passed' });
  second.process.kill('SIGTERM');
  await second.ended;

  const impossible = project(site, 'impossible', {
    '.cofferdam/a.yaml': 'labels: { board: big }\nsteps: [{ commands: [echo] }]',
    '.cofferdam/b.yaml': 'labels: { board: small }\nsteps: [{ commands: [echo] }]',
  });
  const { code, stderr } = await site.command('submit', impossible, '--follow');
  expect(code).toBe(1);
  expect(stderr).toContain(
    "workflow 'b' asks for a worker with board=small, and workflow 'a' asks for board=big",
  );
  expect(stderr).toContain('failed (invalid)');
});

describe('with concurrency', () => {
  const deploy = (more = '') =>
    `concurrency: { limit: 1, group: "to \${CI_PIPELINE_EVENT}" }
${more}steps: [{ name: ship, commands: ['echo ships', 'sleep "$PAUSE"'] }]`;
  const submit = async (dir: string, pause: number) =>
    (await site.command('submit', dir, '--env', `PAUSE=${pause}`)).stdout.trim();
  const ships = (id: string) =>
    until('a deployment', async () =>
      (await site.get(`/v1/builds/${id}/logs`)).includes('\nships') ? true : undefined,
    );

  test('a build that can do nothing else waits in the queue, and says for what', async () => {
    const dir = project(site, 'deploying', { '.cofferdam.yaml': deploy() });
    const first = await submit(dir, 100);
    await ships(first);
    const second = await submit(dir, 0);
    const waits = `It waits for its turn in 'to manual': build ${first} has it (at most 1 at a time).`;
    await until('a build that waits', async () =>
      (await site.show(second)).waiting === waits ? true : undefined,
    );
    expect((await site.command('show', second)).stdout).toContain(waits);
    await site.command('cancel', first);
    const record = await until('an end', async () => {
      const shown = await site.show(second);
      return shown.finishedAt === undefined ? undefined : shown;
    });
    expect(record).toMatchObject({ status: 'passed', attempts: [{ status: 'passed' }] });
  });

  test('a workflow that waits while another one runs tells it in the log, and is queued', async () => {
    const dir = project(site, 'testing', {
      '.cofferdam/test.yaml': 'steps: [{ name: test, commands: [echo tests] }]',
      '.cofferdam/deploy.yaml': deploy('depends_on: test\n'),
    });
    const first = await submit(dir, 100);
    await ships(first);
    const second = await submit(dir, 0);
    const line = `[cofferdam: waits for its turn in 'to manual': build ${first} has it (at most 1 at a time)]\n`;
    const log = () => site.get(`/v1/builds/${second}/logs`);
    await until('a line in the log', async () => ((await log()).includes(line) ? true : undefined));
    expect((await site.show(second)).workflows).toMatchObject([
      { name: 'deploy', status: 'queued' },
      { name: 'test', status: 'passed' },
    ]);
    expect((await site.command('cancel', second)).code).toBe(0);
    await until('an end', async () => ((await site.show(second)).status === 'canceled' ? true : undefined));
    expect((await log()).split(line)).toHaveLength(2);
    await site.command('cancel', first);
  });

  test('workflows of one build take turns with cofferdam run too', async () => {
    const dir = project(site, 'alone', {
      '.cofferdam/deploy.yaml': deploy('matrix: { TO: [here, there] }\n'),
    });
    const { code, stdout } = await site.command('run', dir, '--env', 'PAUSE=0.2', '--json');
    expect(code).toBe(0);
    const told = stdout
      .split('\n')
      .flatMap((line) => /^{"type":"workflow".*"status":"(\w+)"/.exec(line)?.[1] ?? []);
    expect(told.toSorted()).toEqual(['passed', 'passed', 'queued', 'running', 'running']);
    expect(told.indexOf('passed')).toBeLessThan(told.lastIndexOf('running'));
    expect(stdout).toContain('another workflow of this build has it (at most 1 at a time)');
  });
});
