import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createSite, kill, type Site, until } from './site.ts';

/** A build that has begun to write. */
async function running(site: Site, seconds: number): Promise<string> {
  const dir = site.project('slow', ['echo begun', `sleep ${seconds}`, 'echo done']);
  const id = (await site.command('submit', dir)).stdout.trim();
  await until(
    'a log',
    async () => (await site.get(`/v1/builds/${id}/logs`)).includes('begun\n') || undefined,
  );
  return id;
}

const ended = (site: Site, id: string) =>
  until('an end', async () => {
    const record = await site.show(id);
    return record.finishedAt === undefined ? undefined : record;
  });

describe.concurrent('cofferdam up', () => {
  test('lets running builds finish when it is told to stop, and leaves no process', async () => {
    await using site = await createSite();
    const up = await site.up();
    const id = await running(site, 8);
    up.process.kill('SIGTERM');
    const { code, stderr } = await up.ended;
    expect(stderr).toContain(`waiting for ${id} (slow)`);
    expect(code).toBe(0);
    expect(await site.processes()).toEqual([]);
    expect(existsSync(join(site.dataDir, 'run/url'))).toBe(false);
    expect(existsSync(join(site.dataDir, 'redis/redis.sock'))).toBe(false);

    // Everything is there again afterwards, and the token is the same one.
    const token = readFileSync(join(site.dataDir, 'token'), 'utf8');
    await site.up();
    expect(await site.show(id)).toMatchObject({ status: 'passed', attempt: 1 });
    expect((await site.command('logs', id)).stdout).toContain('done\n');
    expect(readFileSync(join(site.dataDir, 'token'), 'utf8')).toBe(token);
  }, 120_000);

  test('finds its finished builds again in the archive when Redis has lost everything', async () => {
    await using site = await createSite();
    const up = await site.up();
    const id = (await site.command('submit', site.project('kept', ['echo kept']))).stdout.trim();
    await ended(site, id);
    up.process.kill('SIGTERM');
    await up.ended;
    rmSync(join(site.dataDir, 'redis'), { recursive: true });
    rmSync(join(site.dataDir, 'token'));
    await site.up();
    await until('the build', async () => (await site.command('ls')).stdout.includes(id) || undefined);
    expect(await site.show(id)).toMatchObject({ status: 'passed', project: 'kept' });
    expect((await site.command('logs', id)).stdout).toBe('+ echo kept\nkept\n');
    expect(await site.command('submit', site.project('more', ['true']), '--follow')).toMatchObject({
      code: 0,
    });
  }, 120_000);

  test('cancels running builds when it is told to stop twice, and says why', async () => {
    await using site = await createSite();
    const up = await site.up();
    const id = await running(site, 60);
    up.process.kill('SIGINT');
    await until('the first signal', async () => up.output.stderr.includes('stopping:') || undefined);
    const began = performance.now();
    up.process.kill('SIGINT');
    expect(await up.ended).toMatchObject({ code: 0 });
    expect(performance.now() - began).toBeLessThan(30_000);
    await site.up();
    const shown = await site.command('show', id);
    expect(shown.stdout).toMatch(/^status +canceled$/m);
    expect(shown.stdout).toMatch(new RegExp(`^message .* told to stop at once; cofferdam retry ${id} `, 'm'));
  }, 120_000);

  test('takes over what a killed predecessor left, and its processes end by themselves', async () => {
    await using site = await createSite();
    const up = await site.up();
    const before = await site.processes('--supervised');
    expect(before).toHaveLength(2);
    const id = await running(site, 8);
    up.process.kill('SIGKILL');
    await up.ended;
    await site.up();
    expect(await ended(site, id)).toMatchObject({ status: 'passed' });
    await until('their end', async () =>
      (await site.processes('--supervised')).some((pid) => before.includes(pid)) ? undefined : true,
    );
    const log = readFileSync(join(site.dataDir, 'redis/redis.log'), 'utf8');
    expect(log.match(/ready to accept connections/g)).toHaveLength(1);
  }, 120_000);

  test('runs a build again whose worker was killed, and shows both attempts', async () => {
    await using site = await createSite();
    await site.up();
    const id = await running(site, 8);
    for (const pid of await site.processes('worker')) kill(pid);
    expect(await ended(site, id)).toMatchObject({
      status: 'passed',
      attempts: [
        { attempt: 1, status: 'errored', reason: 'worker-lost' },
        { attempt: 2, status: 'passed' },
      ],
    });
    const shown = (await site.command('show', id)).stdout;
    expect(shown).toMatch(/^1 +\S+ .* errored \(worker-lost\)/m);
    expect((await site.command('logs', id)).stdout).toBe(
      '+ echo begun\nbegun\n+ sleep 8\n+ echo done\ndone\n',
    );
  }, 120_000);
});

test('a setting that cannot work ends it with the reason', async () => {
  await using site = await createSite();
  const up = site.start(['up'], { COFFERDAM_STORE: 's3://bucket?nonsense=1' });
  const { code, stderr } = await up.ended;
  expect(code).toBe(3);
  expect(stderr).toMatch(/(serve|worker) does not come up .*nonsense/);
  expect(await site.processes()).toEqual([]);
}, 60_000);
