import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { frugal } from '../../src/up/frugal.ts';
import { createSite, kill, type Running, type Site, until } from './site.ts';

let site: Site;
let up: Running;
beforeAll(async () => {
  site = await createSite();
  up = await site.up();
});
afterAll(() => site[Symbol.asyncDispose]());

const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join('');

/** The id of a build that was submitted and not followed. */
async function submit(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await site.command('submit', ...args);
  expect(code, stderr).toBe(0);
  return stdout.trim();
}

describe('the machine of cofferdam up', () => {
  test('says where it is, and keeps its token to itself', () => {
    const token = join(site.dataDir, 'token');
    expect(up.output.stderr).toContain(`cofferdam is up at ${site.url}\n`);
    expect(up.output.stderr).toContain(token);
    expect(statSync(token).mode & 0o777).toBe(0o600);
    expect(readFileSync(token, 'utf8')).toMatch(/^cof_[\w-]{43}\n$/);
  });

  test('keeps the memory of its API low', async () => {
    const [serve = 0] = await site.processes('serve');
    const environment = readFileSync(`/proc/${serve}/environ`, 'utf8').split('\0');
    expect(environment).toEqual(expect.arrayContaining([...frugal.environment]));
    const args = readFileSync(`/proc/${serve}/cmdline`, 'utf8').split('\0');
    expect(args).toEqual(expect.arrayContaining([...frugal.nodeOptions]));
    const unit = readFileSync(join(import.meta.dirname, '../../deploy/cofferdam-serve.service'), 'utf8');
    expect(unit).toContain(`Environment=${frugal.environment.join(' ')}\n`);
    expect(unit).toMatch(
      new RegExp(`^ExecStart=\\S+/node ${frugal.nodeOptions.join(' ')} \\S+/main.ts serve$`, 'm'),
    );
  });

  test('has one up at a time', async () => {
    const second = await site.command('up');
    expect(second).toMatchObject({ code: 2, stdout: '' });
    expect(second.stderr).toContain(`another cofferdam up runs on ${site.dataDir}`);
  });
});

describe('a build', () => {
  test('is followed to its end, and leaves what it made', async () => {
    const dir = site.project('made', ['echo "$WORD" > "a word"', 'seq 1 3'], 'artifacts: ["a *"]');
    const followed = await site.command('submit', dir, '--follow', '--env', 'WORD=hello');
    expect(followed.stderr).toContain('passed');
    expect(followed.code).toBe(0);
    expect(followed.stdout).toMatch(/\+ seq 1 3\n1\n2\n3\n$/);
    const [id = ''] = /^\w{26}/m.exec(followed.stderr) ?? [];

    const again = await site.command('logs', id, '--raw');
    expect(again.stdout).toBe(followed.stdout);
    expect((await site.command('show', id.slice(0, 16).toLowerCase())).stdout).toMatch(/^status +passed$/m);
    expect((await site.command('ls', '--project', 'made')).stdout).toMatch(
      new RegExp(`^${id} +1 +passed +made `, 'm'),
    );
    const into = join(site.dataDir, 'fetched');
    expect(await site.command('artifacts', 'get', id, '--output', into)).toMatchObject({ code: 0 });
    expect(readFileSync(join(into, 'a word'), 'utf8')).toBe('hello\n');
  });

  test('is uploaded once', async () => {
    const dir = site.project('once', ['cat big']);
    writeFileSync(join(dir, 'big'), 'x'.repeat(10_000));
    expect((await site.command('submit', dir)).stderr).toContain('uploading');
    expect((await site.command('submit', dir)).stderr).toContain('there already');
  });

  test.each([
    ['exit 7', '', 1, 'failed'],
    ['sleep 100', 'timeout: 1s', 124, 'timed out'],
  ])('ends as it does: %s', async (command, more, code, status) => {
    const followed = await site.command('submit', site.project(`ends-${code}`, [command], more), '--follow');
    expect(followed).toMatchObject({ code });
    expect(followed.stderr).toContain(status);
  });

  test('is events and a record to a program', async () => {
    const followed = await site.command('submit', site.project('json', ['seq 1 2']), '--follow', '--json');
    const events = followed.stdout
      .trimEnd()
      .split('\n')
      .map((line) => {
        const event: Record<string, unknown> = JSON.parse(line);
        return event;
      });
    expect(events.at(-1)).toMatchObject({ type: 'end', record: { status: 'passed', project: 'json' } });
    expect(events).toContainEqual(expect.objectContaining({ type: 'step', name: 'test', status: 'passed' }));
    const log = events.flatMap(({ type, data }) => (type === 'log' ? [data] : [])).join('');
    expect(log).toBe('+ seq 1 2\n1\n2\n');
  });

  test('goes on when nobody looks any more, and is shown again from its first byte', async () => {
    const dir = site.project('detached', ['seq 1 5', 'sleep 3', 'seq 6 9']);
    const followed = site.start(['submit', dir, '--follow']);
    await until('a log', async () => followed.output.stdout.includes('5\n') || undefined);
    followed.process.kill('SIGINT');
    const { code, stderr } = await followed.ended;
    expect(code).toBe(130);
    const [, id = ''] = /cofferdam logs -f (\w{26}) shows it/.exec(stderr) ?? [];
    expect(stderr).toContain(`cofferdam cancel ${id} ends it`);
    const resumed = await site.command('logs', '-f', id);
    expect(resumed).toMatchObject({ code: 0 });
    expect(resumed.stdout).toBe(`+ seq 1 5\n${lines(1, 5)}+ sleep 3\n+ seq 6 9\n${lines(6, 9)}`);
  });

  test('is canceled, and repeated', async () => {
    const dir = site.project('canceled', ['sleep 100']);
    const followed = site.start(['submit', dir, '--follow']);
    await until('a log', async () => followed.output.stdout.includes('sleep') || undefined);
    const [id = ''] = /^\w{26}/m.exec(followed.output.stderr) ?? [];
    const began = performance.now();
    expect((await site.command('cancel', id)).stdout).toMatch(/cancel/);
    expect(await followed.ended).toMatchObject({ code: 130 });
    expect(performance.now() - began).toBeLessThan(8_000);
    expect(await site.show(id)).toMatchObject({ status: 'canceled' });
    expect((await site.command('cancel', id)).stdout).toBe(`${id} canceled\n`);

    const retried = (await site.command('retry', id)).stdout.trim();
    expect(await site.show(retried)).toMatchObject({ retryOf: id, project: 'canceled' });
    await site.command('cancel', retried);
  });

  test('waits for a worker that has what it asks for, and says so', async () => {
    const id = await submit(site.project('labels', ['true']), '--label', 'arch=riscv');
    expect((await site.show(id)).waiting).toContain('arch=riscv');
    const second = site.start(['worker', '--id', 'second', '--label', 'arch=riscv', '--slots', '1']);
    const record = await until('an end', async () => {
      const shown = await site.show(id);
      return shown.finishedAt === undefined ? undefined : shown;
    });
    expect(record).toMatchObject({ status: 'passed', attempts: [{ worker: 'second', status: 'passed' }] });
    second.process.kill('SIGTERM');
    expect(await second.ended).toMatchObject({ code: 0 });
  });
});

test('tokens are made, used and revoked', async () => {
  const made = await site.command('token', 'create', 'reader', '--scope', 'read', '--json');
  const { id, secret }: { id: string; secret: string } = JSON.parse(made.stdout);
  const env = { COFFERDAM_TOKEN: secret };
  expect(await site.start(['ls'], env).ended).toMatchObject({ code: 0 });
  const refused = await site.start(['submit', site.project('refused', ['true'])], env).ended;
  expect(refused).toMatchObject({ code: 2 });
  expect(refused.stderr).toContain('the scope submit');
  expect((await site.command('token', 'ls')).stdout).toContain('reader');
  expect(await site.command('token', 'revoke', id)).toMatchObject({ code: 0 });
  expect(await site.start(['ls'], env).ended).toMatchObject({ code: 2 });
});

describe('a follower gets every byte once', () => {
  const dir = () =>
    site.project('long', ['for i in $(seq 1 40); do seq $((i*100-99)) $((i*100)); sleep 0.1; done']);
  const all = `+ for i in $(seq 1 40); do seq $((i*100-99)) $((i*100)); sleep 0.1; done\n${lines(1, 4000)}`;

  test.each([
    ['the API', 'serve'],
    ['Redis', 'redis-server'],
  ])('while %s is killed and comes back', async (_name, word) => {
    const followed = site.start(['submit', dir(), '--follow']);
    await until('a log', async () => followed.output.stdout.includes('500\n') || undefined);
    const pids = await (word === 'serve' ? site.processes(word) : redisOf(site));
    expect(pids).toHaveLength(1);
    for (const pid of pids) kill(pid);
    const { code, stdout, stderr } = await followed.ended;
    expect(stdout === all, `${stderr}\n${stdout.length} bytes, not ${all.length}`).toBe(true);
    expect(code).toBe(0);
  });
});

async function redisOf({ dataDir }: Site): Promise<number[]> {
  const text = readFileSync(join(dataDir, 'redis/redis.log'), 'utf8');
  const pid = Number(
    text
      .match(/^(\d+):M .*ready to accept/gm)
      ?.at(-1)
      ?.split(':')[0],
  );
  return existsSync(`/proc/${pid}`) ? [pid] : [];
}
