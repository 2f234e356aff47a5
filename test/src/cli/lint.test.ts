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
  await writeFile(join(dir, '.cofferdam/bad.yaml'), 'image: a\nservices: []\nsteps: [{comands: make}]\n');
  await writeFile(join(dir, 'latin1.yaml'), Buffer.from('# caf\xe9\n', 'latin1'));
  await writeFile(join(dir, 'bom.yaml'), '\ufeffimage: 5\nsteps: [{commands: make}]\n');
  await writeFile(join(dir, 'large.yaml'), '#'.repeat(2 ** 20 + 1));
});
afterAll(() => rm(dir, { recursive: true }));

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

const problems =
  '.cofferdam/bad.yaml:2:1: not supported yet: services\n' +
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
        { file, line: 2, column: 1, message: 'not supported yet: services' },
        { file, line: 3, column: 10, message: "unknown key 'comands'", hint },
      ],
    });
    const right = await cofferdam('lint', '--json', '.cofferdam/good.yaml');
    expect(right).toEqual({ code: 0, stdout: '{"ok":true,"problems":[]}\n', stderr: '' });
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
