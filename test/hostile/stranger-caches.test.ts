import { afterAll, beforeAll, expect, test } from 'vitest';
import { hookBuild } from '../service/hook-build.ts';
import { createSite, type Site } from '../service/site.ts';

let site: Site;
beforeAll(async () => {
  site = await createSite();
  await site.up();
  const url = 'https://git.example.org/team/app.git';
  const { code, stderr } = await site.command('repo', 'add', url, '--forge', 'generic');
  expect(code, stderr).toBe(0);
});
afterAll(() => site[Symbol.asyncDispose]());

/** Says what it finds in the cache, then does something to it. */
const workflow = (command: string) => `image: tiny
caches: [{ name: deps, path: /deps }]
steps:
  - name: use
    commands: ['echo "found: [$(cat /deps/* 2>&1)]"', ${JSON.stringify(command)}]
`;

// 45: a stranger's pull request reads what trusted builds saved; they never read what it wrote.
test('what a stranger writes to a cache is in no later build, whatever was there before', async () => {
  const found = async (trust: 'trusted' | 'untrusted', command: string) => {
    const { shown, log } = await hookBuild(site, trust, workflow(command));
    expect([shown.status, shown.message], log).toEqual(['passed', undefined]);
    return /found: \[([^\]]*)\]/.exec(log.replaceAll(/^\+.*$/gm, ''))?.[1];
  };
  const nothing = expect.stringContaining('No such file');
  expect(await found('untrusted', 'echo poison > /deps/a')).toEqual(nothing);
  expect(await found('trusted', 'echo good > /deps/a')).toEqual(nothing);
  expect(await found('untrusted', 'echo poison > /deps/a; echo more > /deps/b')).toBe('good');
  expect(await found('untrusted', 'true')).toBe('good');
  expect(await found('trusted', 'true')).toBe('good');
});
