import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../runtime/command.ts';
import { hookBuild } from './hook-build.ts';
import { createSite, type Site } from './site.ts';

let site: Site;
const canary = `canary${randomBytes(16).toString('hex')}`;

beforeAll(async () => {
  site = await createSite();
  await site.up();
  const file = join(site.dataDir, 'value');
  writeFileSync(file, `${canary}\n`);
  const done = [
    await site.command('repo', 'add', 'https://git.example.org/team/app.git', '--forge', 'generic'),
    await site.command('secret', 'set', 'token', '--repo', 'team/app', '--file', file),
  ];
  for (const { code, stderr } of done) expect(code, stderr).toBe(0);
}, 60_000);
afterAll(() => site[Symbol.asyncDispose]());

const workflow = `image: tiny
resources: { memory: 8GiB, cpus: 1 }
steps:
  - name: before
    commands: ['echo "before: [$TOKEN]"']
  - name: deploy
    environment: { TOKEN: { from_secret: token } }
    secrets: [{ from_secret: token }]
    commands:
      - 'echo "deploy: [\${TOKEN-not set}]"'
      - 'cat /run/secrets/token || echo no file'
`;

const build = (trust: 'trusted' | 'untrusted', text = workflow) => hookBuild(site, trust, text);

/** Files of the service that hold a text; not the disks of builds, which are large and have no name while one runs. */
async function filesWith(text: string): Promise<string[]> {
  const script = 'grep -rlaF --exclude-dir=disks -e "$1" "$2" || true';
  const { stdout } = await run({ file: 'sh', args: ['-c', script, 'sh', text, site.dataDir] });
  return stdout.toString().split('\n').filter(Boolean);
}

describe('a repository has a secret', () => {
  test('that a trusted build gets, in the step that names it, and never shows', async () => {
    const { shown, log } = await build('trusted');
    expect([shown.status, shown.message], log).toEqual(['passed', undefined]);
    expect(log).toContain('before: []\n');
    expect(log).toContain('deploy: [********]\n');
    expect(log).toMatch(/cat \/run\/secrets\/token .*\n\*{8}$/);
    expect(log).not.toContain(canary);
  });

  test('that an untrusted build does not get, and is told why; nor the memory that it asks for', async () => {
    const { shown, log } = await build('untrusted');
    expect([shown.status, shown.message], log).toEqual(['passed', undefined]);
    expect(log).toContain('deploy: [not set]\n');
    expect(log).toContain('no file\n');
    expect(log).toMatch(/^\[cofferdam: memory cut from 8GiB to 4GiB: /m);
    expect(log).toMatch(/^\[cofferdam: secrets are withheld \(token\): /m);
  });

  test('of which one of another name is none: the build is invalid, and nothing of it starts', async () => {
    const { shown } = await build('trusted', workflow.replaceAll('from_secret: token', 'from_secret: other'));
    expect(shown).toMatchObject({ status: 'failed', reason: 'invalid' });
    expect(shown.message).toContain("step 'deploy' names the secret 'other', and team/app has none");
  });

  test('that is nowhere in clear: not in Redis, not in storage, not in what our processes say', async () => {
    rmSync(join(site.dataDir, 'value'));
    expect(await filesWith(canary)).toEqual([]);
    expect(await filesWith('team/app')).not.toEqual([]);
  });
});
