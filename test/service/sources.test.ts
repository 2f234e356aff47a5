import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serveHttp } from '../git/http.ts';
import { makeRepository } from '../git/repository.ts';
import { createSite } from './site.ts';

const workflow = (command: string) =>
  `image: tiny\nsteps: ${JSON.stringify([{ name: 'test', commands: [command] }])}\n`;

test('a commit of a registered repository is built: its files, its workflow, its .git, its record', async () => {
  await using site = await createSite();
  const root = join(site.dataDir, 'forge');
  mkdirSync(root);
  const origin = await makeRepository(root, 'team/app.git');
  const server = await serveHttp(root, { auth: { user: 'ci', password: 'not-for-builds' } });
  try {
    const look = 'cat greeting .git/HEAD .git/config';
    const first = await origin.commit({ greeting: 'hello\n', gone: '', '.cofferdam.yaml': workflow(look) });
    await site.up();
    const url = `${server.url}/team/app.git`;
    const add = site.start([
      'repo',
      'add',
      url,
      '--name',
      'team/app',
      '--forge',
      'generic',
      '--hosts',
      'internal',
      '--https-user',
      'ci',
      '--https-password-file',
      '-',
    ]);
    add.process.stdin?.end('not-for-builds');
    expect((await add.ended).stderr).not.toMatch(/error/i);

    const submit = async () => {
      const { code, stdout, stderr } = await site.command(
        'submit',
        '--repo',
        'team/app',
        '--ref',
        'main',
        '--follow',
      );
      const id = /\b[0-9A-Z]{26}\b/.exec(stderr + stdout)?.[0] ?? '';
      return { code, stdout, record: await site.show(id) };
    };
    const one = await submit();
    expect(one.record).toMatchObject({ status: 'passed', source: { ref: 'main', sha: first } });
    expect(one.stdout).toContain('hello\nref: refs/heads/main\n[core]\n');
    const second = await origin.commit({
      greeting: 'hello again\n',
      gone: null,
      '.cofferdam.yaml': workflow(`[ ! -e gone ] && ${look}`),
    });
    const two = await submit();
    expect(two.record).toMatchObject({ status: 'passed', source: { ref: 'main', sha: second } });
    expect(two.stdout).toMatch(/hello again\nref: refs\/heads\/main\n/);
    expect(two.stdout).toContain(`url = "${url}"`);
    expect(one.stdout + two.stdout).not.toMatch(/not-for-builds|Authorization/i);

    await origin.git('branch', '-m', 'main', 'trunk');
    const { code, record } = await submit();
    expect(code).toBe(3);
    expect(record).toMatchObject({ status: 'errored', reason: 'source', attempt: 1 });
    expect(record.message).toMatch(/has no refs\/heads\/main: it was never pushed, or was removed/);
  } finally {
    await server.stop();
  }
});
