import { chmod, cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../runtime/command.ts';
import { useRedis } from '../redis.ts';
import { startService, type TestService } from '../src/api/service.ts';
import { makeRepository } from '../src/triggers/samples.ts';
import { examples, scratch } from './example.ts';

const redis = useRedis();
let service: TestService;
let url: string;
beforeAll(async () => {
  service = await startService(await redis.connect());
  url = await service.listen();
});
afterAll(() => service.stop());

/** A bare repository with the hook, and a clone of it. */
async function repositories(parent: string, name: string, secret: string) {
  const [bare, work] = [join(parent, 'bare.git'), join(parent, 'work')];
  const home = { HOME: parent, GIT_CONFIG_NOSYSTEM: '1', PATH: process.env['PATH'] };
  const git = async (...args: readonly string[]) =>
    (await run({ file: 'git', args: ['-C', work, ...args], env: home })).stderr;
  await run({ file: 'git', args: ['init', '--quiet', '--bare', '-b', 'main', bare], env: home });
  await run({ file: 'git', args: ['clone', '--quiet', bare, work], env: home });
  await cp(join(examples, 'hooks/post-receive'), join(bare, 'hooks/post-receive'));
  const file = join(parent, 'secret');
  await writeFile(file, `${secret}\n`);
  await chmod(file, 0o600);
  for (const [key, value] of [
    ['cofferdam.hook', `${url}/v1/hooks/generic/${name}`],
    ['cofferdam.secretFile', file],
  ]) {
    await run({ file: 'git', args: ['-C', bare, 'config', key ?? '', value ?? ''], env: home });
  }
  await git('config', 'user.name', 'Ann "the \\ man" Ü');
  await git('config', 'user.email', 'ann@example.org');
  const head = async () => (await readFile(join(bare, 'refs/heads/main'), 'utf8')).trim();
  return { git, head };
}

const register = (name: string, secret: string) =>
  service.repositories.add(makeRepository({ name, forge: 'generic' }), { webhookSecrets: [secret] });

const newest = async (repository: string) => (await service.deliveries.list({ repository, limit: 1 }))[0];

const specsOf = async (repository: string) => {
  const { outcome } = (await newest(repository)) ?? {};
  if (outcome?.kind !== 'read') throw new Error(`it was not read: ${JSON.stringify(outcome)}`);
  return Promise.all(outcome.builds.map(async (id) => (await service.records.get(id))?.spec));
};

test('every push to a plain repository is built', async () => {
  await using parent = await scratch();
  await register('plain', 'a secret of the hook');
  const { git, head } = await repositories(parent.path, 'plain', 'a secret of the hook');

  const message = 'Say "hello"\n\n\tC:\\path, $(id) `id` äöü 😀\n';
  await git('commit', '--quiet', '--allow-empty', '-m', message);
  expect(await git('push', '--quiet', 'origin', 'HEAD:main')).toContain('"ignored":[]');
  const sha = await head();
  expect(await specsOf('plain')).toMatchObject([
    {
      source: { ref: 'refs/heads/main', sha },
      trigger: {
        kind: 'push',
        branch: 'main',
        actor: expect.stringMatching(/\w/),
        commit: { message, author: 'Ann "the \\ man" Ü', email: 'ann@example.org' },
      },
    },
  ]);

  await git('tag', '-a', '-m', 'first', 'v1');
  await git('branch', 'quote"d/$(id)');
  await git('push', '--quiet', 'origin', 'v1', 'quote"d/$(id)');
  expect((await specsOf('plain')).map((spec) => spec?.source)).toEqual(
    ['refs/tags/v1', 'refs/heads/quote"d/$(id)'].map((ref) => expect.objectContaining({ ref, sha })),
  );

  expect(await git('push', '--quiet', 'origin', ':v1')).toContain('refs/tags/v1 was deleted');
  expect(await specsOf('plain')).toEqual([]);
});

test('who pushes is told when nothing is built, and the push stands', async () => {
  await using parent = await scratch();
  await register('strict', 'the secret');
  const { git, head } = await repositories(parent.path, 'strict', 'a wrong secret');
  await git('commit', '--quiet', '--allow-empty', '-m', 'x');
  expect(await git('push', '--quiet', 'origin', 'HEAD:main')).toMatch(/cofferdam: nothing is built: .*401/);
  expect(await head()).toMatch(/^[0-9a-f]{40}$/);
  expect(await newest('strict')).toBeUndefined();
});

test('the example of docs/webhooks.md makes a build', async () => {
  const text = await readFile(join(examples, '../docs/webhooks.md'), 'utf8');
  const script = /```sh\n(.*?)```/s.exec(text)?.[1] ?? '';
  await register('documented', 'the secret');
  const commit = 'c'.repeat(40);
  const values = { url, repository: 'documented', secret: 'the secret', commit };
  const env = { ...values, PATH: process.env['PATH'] };
  await run({ file: 'sh', args: ['-euc', script], env });
  expect(await specsOf('documented')).toMatchObject([
    { source: { ref: 'refs/heads/main', sha: commit }, trigger: { commit: { message: 'Say hello' } } },
  ]);
});
