import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from '../api/service.ts';
import { commandFor, type RunCommand } from './client.ts';

const redis = useRedis();
let service: TestService;
let cofferdam: RunCommand;
beforeAll(async () => {
  service = await startService(await redis.connect(), { publicUrl: 'https://ci.example.org' });
  cofferdam = await commandFor(service);
});
afterAll(() => service.stop());

const file = (name: string, text: string) => {
  const path = join(service.directory, name);
  writeFileSync(path, text);
  return path;
};

describe.concurrent('cofferdam repo', () => {
  test('add tells the webhook, its secret once, and what to enter at the forge', async () => {
    const url = 'https://github.com/acme/app.git';
    const { code, stdout, stderr } = await cofferdam(['repo', 'add', url, '--forge', 'github']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^webhook secret {2}[\w-]{43}$/m)]);
    expect(stdout).toMatch(/^name {12}acme\/app$/m);
    expect(stdout).toMatch(/^webhook URL {5}https:\/\/ci\.example\.org\/v1\/hooks\/github\/acme\/app$/m);
    expect(stderr).toContain('Content type application/json');
    expect(stderr).not.toContain('COFFERDAM_PUBLIC_URL');
    const shown = await cofferdam(['repo', 'show', 'acme/app']);
    expect(shown.stdout).toMatch(/^untrusted +run, network none$/m);
    const secret = /^webhook secret {2}(.*)$/m.exec(stdout)?.[1] ?? '';
    expect(shown.stdout).not.toContain(secret);
  });

  test('add and set say all there is to say, with secrets from files and stdin', async () => {
    const password = file('password', 'password-4711\n');
    const flags =
      `--forge gitlab --name team/all --default-branch trunk --events push,tag --supersede none --untrusted approval
      --untrusted-network egress --untrusted-limit cpus=1.5 --untrusted-limit memory=2GiB --untrusted-limit timeout=10m
      --priority 3 --label a=1 --label b=2 --env A=x --concurrency 4 --submodules recursive --lfs fetch --path src docs/
      --hosts internal --https-user ci --https-password-file ${password} --forge-token-file - --json`.split(
        /\s+/,
      );
    const added = await cofferdam(['repo', 'add', 'http://git.internal/x', ...flags], 'token-4711\n');
    expect(added.stderr).toBe('');
    expect(JSON.parse(added.stdout)).toMatchObject({ name: 'team/all', webhookSecret: expect.anything() });
    expect(await service.repositories.get('team/all')).toMatchObject({
      url: 'http://git.internal/x',
      apiUrl: 'http://git.internal/api/v4',
      defaultBranch: 'trunk',
      events: ['push', 'tag'],
      supersede: [],
      untrusted: {
        builds: 'approval',
        network: 'egress',
        limits: { cpus: 1.5, memoryBytes: 2 * 1024 ** 3, timeoutMs: 600_000 },
      },
      defaults: { priority: 3, labels: { a: '1', b: '2' }, environment: { A: 'x' } },
      concurrency: 4,
      checkout: { submodules: 'recursive', lfs: 'fetch', paths: ['src', 'docs/'] },
      hosts: 'internal',
    });
    expect(await service.repositories.keys('team/all')).toMatchObject({
      git: { kind: 'https', user: 'ci', password: 'password-4711' },
      forgeToken: 'token-4711',
    });

    const less =
      `--untrusted-limit cpus=none --priority none --no-label --no-env --no-path --concurrency none --api-url none
      --no-credentials --no-forge-token --events none`.split(/\s+/);
    const set = await cofferdam(['repo', 'set', 'team/all', ...less]);
    expect([set.code, set.stderr]).toEqual([0, '']);
    const { apiUrl, concurrency, ...rest } = (await service.repositories.get('team/all')) ?? {};
    expect([apiUrl, concurrency]).toEqual([undefined, undefined]);
    expect(rest).toMatchObject({
      untrusted: { builds: 'approval', limits: { memoryBytes: 2 * 1024 ** 3, timeoutMs: 600_000 } },
      defaults: { labels: {}, environment: {} },
      checkout: { submodules: 'recursive', paths: [] },
      events: [],
    });
    expect(Object.keys((await service.repositories.keys('team/all')) ?? {})).toEqual(['webhookSecrets']);
  });

  test('cron adds, lists, runs and removes builds at set times', async () => {
    await cofferdam([
      'repo',
      'add',
      'https://github.com/acme/timed.git',
      '--forge',
      'github',
      '--badge',
      'public',
    ]);
    const flags = ['--schedule', '0 3 * * 1-5', '--timezone', 'Europe/Berlin'];
    const added = await cofferdam(['repo', 'cron', 'add', 'acme/timed', 'nightly', ...flags]);
    expect([added.code, added.stderr]).toEqual([0, '']);
    expect(added.stdout).toMatch(/^((Mon|Tue|Wed|Thu|Fri) \d{4}-\d\d-\d\d 03:00 Europe\/Berlin\n){3}$/);
    const listed = await cofferdam(['repo', 'cron', 'ls', 'acme/timed']);
    expect(listed.stdout).toMatch(
      /^REPOSITORY +NAME +BRANCH +SCHEDULE +TIME ZONE +NEXT\nacme\/timed +nightly +\(default\) +/,
    );
    expect(listed.stdout).toContain(added.stdout.slice(0, 20).trim());
    const { stdout: shown } = await cofferdam(['repo', 'show', 'acme/timed']);
    expect(shown).toMatch(/^badge +public$/m);
    expect(shown).toMatch(/^cron +nightly: 0 3 \* \* 1-5 Europe\/Berlin, \(default\)$/m);
    const run = await cofferdam(['repo', 'cron', 'run', 'acme/timed', 'nightly']);
    expect((await service.records.get(run.stdout.trim()))?.record.trigger).toMatchObject({ kind: 'cron' });
    expect((await cofferdam(['repo', 'cron', 'rm', 'acme/timed', 'nightly'])).code).toBe(0);
    expect((await cofferdam(['repo', 'cron', 'ls', '--json'])).stdout).toBe('[]\n');
    const wrong = await cofferdam(['repo', 'cron', 'add', 'acme/timed', 'x', '--schedule', '@daily']);
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringMatching(/schedule: has not five fields but 1; write minute/),
    ]);
  });

  test('rotate-secret tells the new one once; a given one is not repeated', async () => {
    const given = file('webhook', 'a-webhook-secret-of-mine\n');
    const url = 'git@codeberg.org:acme/rotate';
    const added = await cofferdam(['repo', 'add', url, '--forge', 'forgejo', '--webhook-secret-file', given]);
    expect(added.stdout).toContain('as you gave it');
    expect(added.stdout + added.stderr).not.toContain('a-webhook-secret-of-mine');
    const begun = await cofferdam(['repo', 'rotate-secret', 'acme/rotate']);
    expect(begun.stderr).toContain('cofferdam repo rotate-secret acme/rotate --finish');
    const fresh = begun.stdout.trim();
    const kept = async () => (await service.repositories.keys('acme/rotate'))?.webhookSecrets;
    expect(await kept()).toEqual([fresh, 'a-webhook-secret-of-mine']);
    expect((await cofferdam(['repo', 'rotate-secret', 'acme/rotate', '--finish'])).stdout).toBe('');
    expect(await kept()).toEqual([fresh]);
  });

  test('ls and rm', async () => {
    await cofferdam(['repo', 'add', 'https://example.org/gone', '--forge', 'generic']);
    expect((await cofferdam(['repo', 'ls'])).stdout).toMatch(
      /^gone +generic +push,tag,pull_request +https:/m,
    );
    expect((await cofferdam(['repo', 'rm', 'gone'])).code).toBe(0);
    expect(await cofferdam(['repo', 'show', 'gone'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('404 there is no repository "gone"'),
    });
  });

  const add = ['repo', 'add', 'https://example.org/a', '--forge', 'gitea'];
  test.for<[string, readonly string[], RegExp]>([
    ['no forge', ['repo', 'add', 'https://example.org/a'], /required option '--forge/],
    [
      'half of credentials',
      [...add, '--https-user', 'ci'],
      /needs both --https-user and --https-password-file/,
    ],
    [
      'two kinds of them',
      [...add, '--https-user', 'ci', '--ssh-key-file', 'x'],
      /either of https, or of ssh/,
    ],
    [
      'a file that is not there',
      [...add, '--forge-token-file', '/none'],
      /cannot read \/none, for --forge-token-file/,
    ],
    [
      'stdin twice',
      [...add, '--forge-token-file', '-', '--https-user', 'a', '--https-password-file', '-'],
      /cannot both be read from stdin/,
    ],
    [
      'an event that is none',
      [...add, '--events', 'push,star'],
      /--events takes push,tag,pull_request .* not 'star'/,
    ],
    ['a limit that is none', [...add, '--untrusted-limit', 'ram=1'], /one of cpus, memory, .*, not 'ram=1'/],
    [
      'a bad size',
      [...add, '--untrusted-limit', 'memory=much'],
      /--untrusted-limit memory takes a size such as/,
    ],
    [
      'what the service refuses',
      [...add, '--default-branch', 'a..b'],
      /defaultBranch: "refs\/heads\/a\.\.b" is no ref/,
    ],
  ])('%s is a mistake of the caller', async ([, args, message]) => {
    const { code, stderr } = await cofferdam(args, 'x');
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});
