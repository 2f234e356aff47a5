import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { start } from '../../../runtime/command.ts';
import { workflowSchema } from '../../../src/workflow/schema.ts';

const main = new URL('../../../bin/main.ts', import.meta.url).pathname;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cofferdam-lint-'));
  await mkdir(join(dir, '.cofferdam'));
  await writeFile(join(dir, '.cofferdam/good.yaml'), 'image: a\nsteps: [{commands: make}]\n');
  await writeFile(join(dir, '.cofferdam/bad.yaml'), 'image: a\nvolumes: []\nsteps: [{comands: make}]\n');
  await mkdir(join(dir, 'two/.woodpecker'), { recursive: true });
  await writeFile(join(dir, 'two/.woodpecker/test.yaml'), testing);
  await writeFile(join(dir, 'two/.woodpecker/deploy.yaml'), deploying);
  await writeFile(join(dir, 'latin1.yaml'), Buffer.from('# caf\xe9\n', 'latin1'));
  await writeFile(join(dir, 'bom.yaml'), '\ufeffimage: 5\nsteps: [{commands: make}]\n');
  await writeFile(join(dir, 'large.yaml'), '#'.repeat(2 ** 20 + 1));
});
afterAll(() => rm(dir, { recursive: true }));

const testing = `
matrix: { GO: ['1.23', '1.24'] }
services: [{ name: db, image: 'postgres:17', ports: [5432] }]
steps:
  - { name: unit, image: 'golang:\${GO}', commands: go test }
  - { name: tell, image: alpine, commands: x, failure: ignore, when: { status: failure } }
`;
const deploying = `
depends_on: [test]
when: { event: tag }
steps: [{ name: push, image: alpine, commands: x }]
`;

interface Shown {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command in `dir`. */
async function cofferdam(...args: string[]): Promise<Shown> {
  const child = start({ file: process.execPath, args: [main, ...args], cwd: dir }, { stdio: 'pipe' });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout, stderr };
}

const refusal =
  "'volumes' is refused: a build sees nothing of the host; all steps share the workspace, and `caches:` keep directories from build to build";
const problems =
  `.cofferdam/bad.yaml:2:1: ${refusal}\n` +
  ".cofferdam/bad.yaml:3:10: unknown key 'comands'; did you mean 'commands'?\n";

describe('cofferdam lint', () => {
  test('says ok for a file that is', async () => {
    const stdout = '.cofferdam/good.yaml: ok\n';
    expect(await cofferdam('lint', '.cofferdam/good.yaml')).toEqual({ code: 0, stdout, stderr: '' });
  });

  test('checks all workflows of the current directory when none is named', async () => {
    const stdout = `${problems}.cofferdam/good.yaml: ok\n`;
    expect(await cofferdam('lint')).toEqual({ code: 2, stdout, stderr: '' });
  });

  test('--json', async () => {
    const file = '.cofferdam/bad.yaml';
    const hint = "did you mean 'commands'?";
    const wrong = await cofferdam('lint', '--json');
    expect(wrong.code).toBe(2);
    expect(JSON.parse(wrong.stdout)).toEqual({
      ok: false,
      problems: [
        { file, line: 2, column: 1, message: refusal },
        { file, line: 3, column: 10, message: "unknown key 'comands'", hint },
      ],
      warnings: [],
    });
    const right = await cofferdam('lint', '--json', '.cofferdam/good.yaml');
    expect(right).toEqual({ code: 0, stdout: '{"ok":true,"problems":[],"warnings":[]}\n', stderr: '' });
  });

  test('a file is checked among its neighbours, which it may wait for; all of a directory are one build', async () => {
    const file = 'two/.woodpecker/deploy.yaml';
    expect(await cofferdam('lint', file)).toEqual({ code: 0, stdout: `${file}: ok\n`, stderr: '' });
    const alone = await cofferdam('lint', '--plan', '--tag', 'v1', 'two');
    expect(alone.stdout).toBe(`two/.woodpecker/deploy.yaml: ok
two/.woodpecker/test.yaml:3:46: warning: ports have no effect: all ports of a service can be reached
two/.woodpecker/test.yaml: ok

deploy, after test (GO=1.23), test (GO=1.24)
  push  alpine
test (GO=1.23)
  (db)  postgres:17, beside the steps
  unit  golang:1.23
  tell  alpine, after unit, when something failed, on failure: ignore
test (GO=1.24)
  (db)  postgres:17, beside the steps
  unit  golang:1.24
  tell  alpine, after unit, when something failed, on failure: ignore
`);
  });

  test('what is supposed of a build decides what would run', async () => {
    const { stdout } = await cofferdam('lint', '--plan', '--json', '--event', 'push', 'two');
    const [{ leftOut, build }] = JSON.parse(stdout).builds;
    expect(leftOut).toEqual([{ name: 'deploy', why: 'its `when` does not hold' }]);
    expect(build.workflows.map(({ name }: { name: string }) => name)).toEqual([
      'test (GO=1.23)',
      'test (GO=1.24)',
    ]);
  });

  test.each([
    ['latin1.yaml', '1:1: the file is not UTF-8 text'],
    ['large.yaml', '1:1: the file is larger than 1 MiB'],
    ['bom.yaml', '1:8: image must be an image reference such as node:24 or bootstrap:bookworm+make, not 5'],
  ])('%s', async (file, problem) => {
    expect(await cofferdam('lint', file)).toEqual({ code: 2, stdout: `${file}:${problem}\n`, stderr: '' });
  });

  test('a file that is not there is a usage error', async () => {
    const { code, stdout, stderr } = await cofferdam('lint', 'none.yaml');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^cofferdam: cannot read the workflow file none\.yaml: ENOENT/);
  });
});

test('cofferdam schema prints the schema', async () => {
  const { code, stdout } = await cofferdam('schema');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual(workflowSchema);
});
