import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newRepository } from '../../../src/repositories/change.ts';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from '../api/service.ts';
import { commandFor, type RunCommand } from './client.ts';

const redis = useRedis();
let service: TestService;
let cofferdam: RunCommand;
beforeAll(async () => {
  service = await startService(await redis.connect());
  cofferdam = await commandFor(service);
  const repository = newRepository({ name: 'acme/app', forge: 'github', url: 'https://github.com/acme/app' });
  await service.repositories.add(repository, { webhookSecrets: ['x'] });
});
afterAll(() => service.stop());

const submitted = async (...args: readonly string[]) => {
  const { code, stdout, stderr } = await cofferdam(['submit', ...args]);
  expect([code, stderr]).toEqual([0, expect.stringContaining('queued at')]);
  return (await service.records.get(stdout.trim()))?.spec;
};

describe.concurrent('cofferdam submit', () => {
  test('builds a commit of a repository by its name', async () => {
    const sha = 'b'.repeat(40);
    expect(await submitted('--repo', 'acme/app', '--ref', 'feature/x', '--sha', sha)).toMatchObject({
      project: 'acme/app',
      source: {
        repository: 'acme/app',
        url: 'https://github.com/acme/app',
        ref: 'refs/heads/feature/x',
        sha,
      },
    });
  });

  test('builds one at a URL, with another workflow', async () => {
    const workflow = join(service.directory, 'other.yaml');
    writeFileSync(workflow, 'image: a\nsteps: [{ name: s, commands: [x] }]\n');
    const args = [
      'git@example.org:a/b.git',
      '--ref',
      'refs/tags/v1',
      '-w',
      workflow,
      '-p',
      'mine',
      '-e',
      'A=b',
    ];
    expect(await submitted(...args)).toMatchObject({
      project: 'mine',
      workflow: expect.stringContaining('steps'),
      environment: { A: 'b' },
      source: { url: 'ssh://git@example.org/a/b.git', repo: 'a/b', ref: 'refs/tags/v1' },
    });
  });

  test.for<[string, readonly string[], RegExp]>([
    ['a directory with a ref', ['.', '--ref', 'main'], /--ref and --sha are for a repository/],
    [
      'a name and a URL',
      ['https://a/b', '--repo', 'acme/app'],
      /say either --repo acme\/app or https:\/\/a\/b/,
    ],
    ['a URL without a ref', ['https://example.org/a'], /source\.ref: is missing/],
    ['another transport', ['git://example.org/a', '--ref', 'b'], /only https and ssh are used/],
    [
      'an unknown repository',
      ['--repo', 'acme/none'],
      /there is no repository "acme\/none"; add it, or give its url/,
    ],
  ])('refuses %s', async ([, args, message]) => {
    const { code, stderr } = await cofferdam(['submit', ...args]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});
