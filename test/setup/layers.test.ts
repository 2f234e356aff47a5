import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkout, execute } from './clone.ts';

let tree: string;

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'cofferdam-layers-'));
  cpSync(join(checkout, '.oxlintrc.json'), join(tree, '.oxlintrc.json'));
  symlinkSync(join(checkout, 'node_modules'), join(tree, 'node_modules'));
});
afterAll(() => rmSync(tree, { recursive: true }));

function lint(file: string, source: string) {
  const path = join(tree, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${source}\n`);
  const node = join(checkout, '.cofferdam-tools/node/bin/node');
  const oxlint = join(checkout, 'node_modules/oxlint/bin/oxlint');
  const outcome = execute([node, oxlint, '--deny-warnings', file], {
    cwd: tree,
    env: { PATH: '/usr/bin:/bin' },
  });
  rmSync(path);
  return outcome;
}

const load = (module: string) => `import { x } from '${module}';\nexport const y = x + 1;`;

describe('the linter refuses what the layers forbid', () => {
  test.each([
    ['runtime/a.ts', load('../src/config.ts'), 'runtime imports nothing of ours'],
    ['runtime/crun/a.ts', load('../../workers/build.ts'), 'runtime imports nothing of ours'],
    ['runtime/command.ts', load('../src/config.ts'), 'runtime imports nothing of ours'],
    ['runtime/a.ts', "export const y = await import('../src/config.ts');", 'runtime imports nothing of ours'],
    ['runtime/a.ts', "export { x } from '../src/config.ts';", 'runtime imports nothing of ours'],
    [
      'runtime/a.ts',
      "import type { X } from '../src/config.ts';\nexport type Y = X;",
      'runtime imports nothing',
    ],
    ['src/a.ts', load('../runtime/command.ts'), 'src does not import runtime or workers'],
    ['src/workflow/a.ts', load('../../workers/build.ts'), 'src does not import runtime or workers'],
    ['src/cli/lint.ts', load('../../runtime/host.ts'), 'src does not import runtime or workers'],
    ['src/cli/ls.ts', load('../../runtime/command.ts'), 'src does not import runtime or workers'],
    ['src/cli/run.ts', load('../../bin/main.ts'), 'Nothing imports bin'],
    ['workers/a.ts', load('../src/cli/main.ts'), 'workers import the stores of src'],
    ['workers/a.ts', load('../src/api/server.ts'), 'workers import the stores of src'],
    ['runtime/a.ts', load('node:child_process'), 'Only runtime/command.ts starts processes'],
    ['src/cli/run.ts', load('node:child_process'), 'Only runtime/command.ts starts processes'],
    ['src/a.ts', load('child_process'), 'Only runtime/command.ts starts processes'],
    ['workers/a.ts', load('node:child_process'), 'Only runtime/command.ts starts processes'],
    ['workers/a.ts', load('../test/redis.ts'), 'nor its API'],
    ['runtime/a.ts', "export const y = process.env['HOME'];", 'Only src/config.ts reads the environment'],
    ['src/a.ts', "export const y = process.env['HOME'];", 'Only src/config.ts reads the environment'],
    ['workers/a.ts', 'export const y = { ...process.env };', 'Only src/config.ts reads the environment'],
  ])('%s: %s', (file, source, message) => {
    const { status, stdout } = lint(file, source);
    expect(stdout).toContain(message);
    expect(status).toBe(1);
  });
});

describe('the linter allows what the layers allow', () => {
  test.each([
    ['runtime/crun/a.ts', load('../command.ts')],
    ['runtime/command.ts', load('node:child_process')],
    [
      'runtime/a.ts',
      "import type { ChildProcess } from 'node:child_process';\nexport type Y = ChildProcess;",
    ],
    ['src/cli/run.ts', load('../../runtime/sandbox.ts')],
    ['src/cli/cache.ts', load('../../workers/caches.ts')],
    ['src/cli/image.ts', load('../../runtime/sandbox.ts')],
    ['src/cli/doctor.ts', load('../../runtime/host.ts')],
    ['src/cli/submit.ts', load('../../runtime/command.ts')],
    ['src/cli/up.ts', load('../../runtime/command.ts')],
    ['src/cli/worker.ts', load('../../workers/main.ts')],
    ['src/config.ts', "export const y = process.env['HOME'];"],
    ['runtime/host.ts', "export const y = process.env['HOME'];"],
    ['workers/a.ts', load('../src/records.ts')],
    ['workers/a.ts', load('../runtime/sandbox.ts')],
    ['bin/a.ts', load('../runtime/host.ts')],
  ])('%s: %s', (file, source) => {
    expect(lint(file, source)).toMatchObject({ status: 0 });
  });
});
