import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../runtime/command.ts';
import type { BuildSpec } from '../../src/spec.ts';
import { openQueue } from '../../src/queue.ts';
import { openRecords } from '../../src/records.ts';
import { connectRedis } from '../../src/redis.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { redisUrlOf } from '../../src/up/place.ts';
import { loadConfig } from '../../src/config.ts';
import { createSite, type Site, until } from './site.ts';

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

/** What a build of team/app comes to that a queue accepted, as the API and its log show it. */
async function build(trust: BuildSpec['trust'], text = workflow) {
  const config = loadConfig({ COFFERDAM_DATA: site.dataDir });
  const redis = await connectRedis({ url: redisUrlOf(config), prefix: config.redisPrefix });
  const records = openRecords(redis, openStorage(config.store));
  const queue = openQueue(redis, records);
  const spec: BuildSpec = {
    id: ulid(),
    project: 'team/app',
    source: { kind: 'none' },
    workflow: text,
    environment: { MINE: 'of whoever asked' },
    priority: 5,
    labels: {},
    requestedBy: 'hook:team/app',
    trigger: { kind: 'push', branch: 'main' },
    trust,
  };
  await queue.submit(spec);
  const shown = await until('an end', async () => {
    const found = await site.show(spec.id);
    return found.finishedAt === undefined ? undefined : found;
  });
  await queue.close();
  records.close();
  await redis.close();
  const { stdout: log } = await site.command('logs', spec.id, '--raw');
  return { shown, log };
}

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
