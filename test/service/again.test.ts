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

test('what was built is built again as it was though branches moved: by hand, by cron, by webhooks', async () => {
  await using stack = new AsyncDisposableStack();
  const site = stack.use(await createSite());
  const gitea = stack.use(await createGitea(site));
  const { deliver } = gitea;
  const base = await gitea.origin.commit({
    '.cofferdam.yaml': workflow('echo "for $CI_PIPELINE_EVENT"'),
    version: '1\n',
  });
  await site.up();
  await gitea.register();
  await command(site, 'repo', 'cron', 'add', 'team/app', 'nightly', '--schedule', '0 3 1 1 *');
  const pushed = await deliver.push('main', 'version');
  const pulled = await deliver.pull(1, 'fork', base);
  const byHand = await command(site, 'submit', '--repo', 'team/app', '--ref', 'main');
  const byCron = await command(site, 'repo', 'cron', 'run', 'team/app', 'nightly');
  const builds = await Promise.all([pushed, pulled, byHand, byCron].map((id) => endOf(site, id)));
  const moved = [await deliver.push('main', 'version'), await deliver.pull(1, 'fork', 'refs/heads/main')];
  for (const id of moved) {
    const { sha } = (await endOf(site, id)).source;
    expect(builds.map(({ source }) => source.sha)).not.toContain(sha);
  }

  for (const { id, trigger, trust, source } of builds) {
    const again = await endOf(site, await command(site, 'retry', id));
    expect(again).toMatchObject({ status: 'passed', retryOf: id, trigger, trust, source });
    expect(await logOf(site, again.id)).toContain(`\nfor ${trigger.kind}\n`);
    if (trigger.delivery === undefined) continue;
    const replayed = await endOf(site, await command(site, 'hook', 'replay', trigger.delivery));
    expect(replayed).toMatchObject({ status: 'passed', trigger, trust, source });
  }
  expect(builds.map(({ trust, trigger }) => `${trust} ${trigger.kind}`)).toEqual([
    'trusted push',
    'untrusted pull_request',
    'trusted manual',
    'trusted cron',
  ]);
}, 60_000);
