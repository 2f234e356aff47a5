import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startRedis } from '../redis.ts';
import { createGitea, type Gitea } from './gitea.ts';
import { createSite, endOf, type Site, until } from './site.ts';

const workflow = (last: string) =>
  `image: tiny\nsteps: ${JSON.stringify([{ name: 'test', commands: ['cat version', last] }])}\n`;

async function command(site: Site, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await site.command(...args);
  expect(code, stderr).toBe(0);
  return stdout.trim();
}
const logOf = (site: Site, id: string) => site.get(`/v1/builds/${id}/logs`);

test.for<[string, (gitea: Gitea) => Promise<unknown>, RegExp | undefined]>([
  ['builds its commit', ({ deliver }) => deliver.push('main', 'version'), undefined],
  [
    'says so when a forced push took its commit',
    async ({ origin }) => {
      await origin.git('update-ref', '-d', 'refs/heads/main');
      await origin.commit({ version: 'another\n' });
      await origin.git('reflog', 'expire', '--expire=now', '--all');
      await origin.git('gc', '--quiet', '--prune=now');
    },
    /team\/app\.git does not have the commit [\da-f]{40} in refs\/heads\/main: it was never pushed, or was replaced by a forced push; build the newest commit instead$/,
  ],
])(
  'a build that moves to another machine after its branch moved %s',
  { timeout: 60_000 },
  async ([, move, message]) => {
    await using stack = new AsyncDisposableStack();
    const redis = stack.adopt(await startRedis(), (each) => each.stop());
    const site = stack.use(await createSite());
    const gitea = stack.use(await createGitea(site));
    const sha = await gitea.origin.commit({ version: 'one\n', '.cofferdam.yaml': workflow('sleep 100') });
    const env = { COFFERDAM_REDIS_URL: redis.url };
    const serve = site.start(['serve'], env);
    await until('an API', async () => serve.output.stdout.includes('"listening"') || undefined);
    await gitea.register();

    const first = site.start(['worker', '--id', 'first', '--drain', '1s'], env);
    const id = await command(site, 'submit', '--repo', 'team/app', '--ref', 'main');
    const begun = async () => ((await logOf(site, id)).includes('one\n') ? true : undefined);
    await until('a first attempt', begun);
    await move(gitea);
    first.process.kill('SIGTERM');
    expect((await first.ended).code).toBe(0);
    expect(await site.show(id)).toMatchObject({ status: 'queued', attempt: 1, source: { sha } });

    const other = stack.use(await createSite());
    other.start(['worker', '--id', 'second'], {
      ...env,
      COFFERDAM_STORE: `file:${join(site.dataDir, 'archive')}`,
      COFFERDAM_SECRET_KEY_FILE: join(site.dataDir, 'secret.key'),
    });
    if (message) {
      const build = await endOf(site, id);
      expect(build).toMatchObject({ status: 'errored', reason: 'source', attempt: 2, source: { sha } });
      expect(build.message).toMatch(message);
      return;
    }
    await until('a second attempt', async () => ((await site.show(id)).attempt === 2 ? begun() : undefined));
    expect(await site.show(id)).toMatchObject({ source: { ref: 'main', sha } });
    await command(site, 'cancel', id);
    expect((await endOf(site, id)).attempts).toMatchObject([{ worker: 'first' }, { worker: 'second' }]);
  },
);

test('what was built is built again as it was, though the branch moved: by hand, by cron, by a push, by a replay', async () => {
  await using stack = new AsyncDisposableStack();
  const site = stack.use(await createSite());
  const gitea = stack.use(await createGitea(site));
  await gitea.origin.commit({ '.cofferdam.yaml': workflow('echo "for $CI_PIPELINE_EVENT"') });
  await site.up();
  await gitea.register();
  const pushed = await gitea.deliver.push('main', 'version');
  const { sha } = (await endOf(site, pushed)).source;
  await command(site, 'repo', 'cron', 'add', 'team/app', 'nightly', '--schedule', '0 3 1 1 *');
  const builds = [
    ['push', pushed],
    ['manual', await command(site, 'submit', '--repo', 'team/app', '--ref', 'main')],
    ['cron', await command(site, 'repo', 'cron', 'run', 'team/app', 'nightly')],
  ] as const;
  for (const [, id] of builds)
    expect((await endOf(site, id)).source).toEqual({ repo: 'team/app', ref: 'main', sha });

  const moved = (await endOf(site, await gitea.deliver.push('main', 'version'))).source.sha;
  expect(moved).not.toBe(sha);
  for (const [kind, id] of builds) {
    const again = await endOf(site, await command(site, 'retry', id));
    const { trigger } = await site.show(id);
    expect(again).toMatchObject({ status: 'passed', retryOf: id, trigger, source: { ref: 'main', sha } });
    expect(await logOf(site, again.id)).toContain(`\nfor ${kind}\n`);
  }
  const replayed = await command(site, 'hook', 'replay', await gitea.deliveryOf(pushed));
  const { number = 0, trigger } = await site.show(pushed);
  expect(await endOf(site, replayed)).toMatchObject({
    status: 'passed',
    trigger,
    source: { ref: 'main', sha },
  });
  expect((await site.show(replayed)).number).toBe(number + 7);
}, 60_000);
