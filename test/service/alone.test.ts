import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startRedis } from '../redis.ts';
import { createSite, until } from './site.ts';

test('API and workers on machines of their own share Redis and the archive', async () => {
  const redis = await startRedis();
  try {
    await using api = await createSite();
    await using worker = await createSite();
    await using user = await createSite();
    const shared = {
      COFFERDAM_REDIS_URL: redis.url,
      COFFERDAM_STORE: `file:${join(api.dataDir, 'archive')}`,
      // What seals secrets is one file, of which each machine has a copy.
      COFFERDAM_SECRET_KEY_FILE: join(api.dataDir, 'secret.key'),
    };
    const serve = api.start(['serve'], shared);
    await until('an API', async () => serve.output.stdout.includes('"listening"') || undefined);

    // The first API makes the first token, and no other one does.
    const token = join(api.dataDir, 'token');
    expect(statSync(token).mode & 0o777).toBe(0o600);
    const other = worker.start(['serve'], shared);
    await until('an API', async () => other.output.stdout.includes('"listening"') || undefined);
    expect(existsSync(join(worker.dataDir, 'token'))).toBe(false);

    const workers = ['one', 'two'].map((id) => worker.start(['worker', '--id', id, '--slots', '1'], shared));
    const access = {
      COFFERDAM_URL: other.output.stdout.match(/http:[^"]+/)?.[0],
      COFFERDAM_TOKEN: readFileSync(token, 'utf8').trim(),
    };
    const projects = ['a', 'b'].map((name) => user.project(name, ['sleep 1', 'seq 1 3']));
    const builds = await Promise.all(
      projects.map((dir) => user.start(['submit', dir, '--follow'], access).ended),
    );
    for (const build of builds) {
      expect(build).toMatchObject({ code: 0, stdout: '+ sleep 1\n+ seq 1 3\n1\n2\n3\n' });
    }
    const listed = await user.start(['ls', '--json'], access).ended;
    expect(listed.stdout.match(/"worker":"(one|two)"/g)?.sort()).toEqual([
      '"worker":"one"',
      '"worker":"two"',
    ]);

    for (const each of [...workers, serve, other]) {
      each.process.kill('SIGTERM');
      expect(await each.ended).toMatchObject({ code: 0 });
    }
  } finally {
    await redis.stop();
  }
}, 60_000);
