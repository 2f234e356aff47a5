import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { UsageError } from '../../../src/usage.ts';
import { listWorkflows } from '../../../src/workflow/find.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cofferdam-find-'));
});
afterEach(() => rm(dir, { recursive: true }));

async function write(...names: string[]): Promise<void> {
  for (const name of names) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), '');
  }
}

test.each([
  [['.cofferdam.yaml'], '.cofferdam.yaml'],
  [['.cofferdam.yml'], '.cofferdam.yml'],
  [['.cofferdam/x.yml'], '.cofferdam/x.yml'],
  [['.woodpecker.yml'], '.woodpecker.yml'],
  [['.woodpecker/x.yaml'], '.woodpecker/x.yaml'],
  [['.woodpecker/.x.yaml'], '.woodpecker/.x.yaml'],
  [['.cofferdam/x.yaml', '.woodpecker.yaml', '.woodpecker/y.yaml'], '.cofferdam/x.yaml'],
  [
    ['.cofferdam/notes.txt', '.cofferdam/.x.yaml.swp', '.cofferdam/._x.yaml', '.woodpecker.yaml'],
    '.woodpecker.yaml',
  ],
  [['.cofferdam.yaml/is/a/directory', '.cofferdam.yml'], '.cofferdam.yml'],
  [['.woodpecker', '.cofferdam/a.yaml'], '.cofferdam/a.yaml'],
])('of %j it is %s', async (names, expected) => {
  await write(...names);
  expect(await listWorkflows(dir)).toEqual([join(dir, expected)]);
});

test('several are one build, in order', async () => {
  await write('.cofferdam/b.yaml', '.cofferdam/a.yml', '.cofferdam.yaml');
  const files = ['.cofferdam.yaml', '.cofferdam/a.yml', '.cofferdam/b.yaml'].map((name) => join(dir, name));
  expect(await listWorkflows(dir)).toEqual(files);
});

test('none is an error that says what was looked for', async () => {
  await expect(listWorkflows(dir)).rejects.toThrow(UsageError);
  await expect(listWorkflows(dir)).rejects.toThrow(
    `no workflow in ${dir}: looked for .cofferdam.yaml, .cofferdam/*.yaml, .woodpecker.yaml and .woodpecker/*.yaml`,
  );
});

test('no directory is an error', async () => {
  await expect(listWorkflows(join(dir, 'none'))).rejects.toThrow(/^cannot read .*none: ENOENT/);
  await write('file');
  await expect(listWorkflows(join(dir, 'file'))).rejects.toThrow(/file is not a directory$/);
});

test('a dangling link is no workflow', async () => {
  await symlink('nowhere', join(dir, '.cofferdam.yaml'));
  await expect(listWorkflows(dir)).rejects.toThrow(/^no workflow/);
});
