import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CommandError, run } from '../../runtime/command.ts';
import { type HttpGitOptions, serveHttp } from './http.ts';
import { cleanGit, makeRepository } from './repository.ts';

let root: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'cofferdam-git-'));
  const repository = await makeRepository(join(root, 'served'), 'team/tool.git');
  await repository.commit({
    'read me': 'first\n',
    run: { executable: '#!/bin/sh\n' },
    link: { symlink: 'run' },
  });
  await repository.commit({ 'read me': 'second\n' });
});
afterAll(() => rmSync(root, { recursive: true }));

async function clone(url: string, to: string): Promise<string> {
  const directory = join(root, to);
  await run({ file: 'git', args: ['clone', '--quiet', url, directory], env: cleanGit });
  return directory;
}

async function withServer<T>(
  options: HttpGitOptions,
  work: (url: string, seen: () => string[]) => Promise<T>,
) {
  const server = await serveHttp(join(root, 'served'), options);
  try {
    return await work(`${server.url}/team/tool.git`, () =>
      server.requests.map(({ method, path, authorization }) => `${method} ${path} ${authorization ?? '-'}`),
    );
  } finally {
    await server.stop();
  }
}

test('what was committed is what a clone has', async () => {
  const directory = await withServer({}, (url) => clone(url, 'plain'));
  expect(readFileSync(join(directory, 'read me'), 'utf8')).toBe('second\n');
  expect(readFileSync(join(directory, 'link'), 'utf8')).toBe('#!/bin/sh\n');
});

test('a server that wants a password gives nothing without it', async () => {
  await withServer({ auth: { user: 'ada', password: 'letmein!' } }, async (url, seen) => {
    await expect(clone(url, 'refused')).rejects.toThrow(CommandError);
    await clone(url.replace('//', '//ada:letmein!@'), 'known');
    expect(seen()).toContain('GET /team/tool.git/info/refs?service=git-upload-pack Basic YWRhOmxldG1laW4h');
  });
});

test('a test can answer in place of git', async () => {
  const gone: HttpGitOptions = {
    intercept: (_request, response) => {
      response.writeHead(410).end();
      return true;
    },
  };
  await withServer(gone, (url) => expect(clone(url, 'gone')).rejects.toThrow('410'));
});
