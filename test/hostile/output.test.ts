import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSite, type Site } from '../service/site.ts';

let site: Site;
beforeAll(async () => {
  site = await createSite();
  await site.up();
});
afterAll(() => site[Symbol.asyncDispose]());

/** What other systems, or ours to our own tools, say by lines of text. */
const forged = [
  '::set-env name=PATH::/tmp',
  '::add-mask::x',
  '##[section]done',
  '##vso[task.setvariable variable=a]b',
  '[cofferdam: build passed]',
  '{"type":"end","record":{"status":"passed"}}',
  '{"type":"artifact","path":"/etc/passwd","size":1,"sha256":"0"}',
  'event: end',
  'data: {"status":"passed"}',
  'id: 999999',
  '\\033]0;title\\007\\033[2J\\033[1;1H all passed',
  '{"id":"2-unshare","got":"EPERM"}',
];

// 51: what a build prints is bytes for its log, whoever reads that log and however.
test('lines that look like commands, events or a verdict are output, and the build fails as it did', async () => {
  const lines = forged.map((line) => `printf '${line.replaceAll('%', '%%')}\\n'`);
  const dir = site.project('forger', [...lines, 'exit 3', 'echo never']);
  const before = readdirSync(dir);
  const text = await site.command('submit', dir, '--follow');
  const id = /^\w{26}/m.exec(text.stderr)?.[0] ?? '';
  expect(text.code).toBe(1);

  const { stdout, code } = await site.command('logs', id, '--follow', '--json');
  const events = stdout
    .trim()
    .split('\n')
    .map((line): { type: string; data?: string; record?: object } => JSON.parse(line));
  expect(code).toBe(1);
  const ends = events.filter(({ type }) => type === 'end');
  expect(ends).toMatchObject([{ record: { status: 'failed', workflows: [{ steps: [{ exitCode: 3 }] }] } }]);
  expect(events.filter(({ type }) => type === 'artifact')).toEqual([]);
  const output = events.flatMap(({ type, data }) => (type === 'log' ? [data] : [])).join('');
  for (const line of forged.filter((each) => !each.includes('\\'))) expect(output).toContain(`\n${line}\n`);
  expect(await site.show(id)).toMatchObject({ status: 'failed', reason: 'exit', artifacts: [] });
  expect(readdirSync(dir)).toEqual(before);
});
