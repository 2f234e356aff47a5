import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { GitCredentials, Repository } from '../../../src/repositories.ts';
import type { AdditionsAccess } from '../../../workers/git/additions.ts';
import { openRemote } from '../../../workers/git/remote.ts';
import type { RemoteAccess } from '../../../workers/git/submodule-url.ts';
import { SourceError } from '../../../workers/source.ts';
import { serveHttp } from '../../git/http.ts';
import { lfsObject, serveLfs } from '../../git/lfs.ts';
import { type Entry, makeRepository, type TestRepository } from '../../git/repository.ts';
import { serveSsh } from '../../git/ssh.ts';
import { processesDuring } from './processes.ts';
import { inMerged, type Workplace, wholeCheckout, workplace } from './workplace.ts';

const login = { kind: 'https', user: 'ada', password: 'hunter22' } as const;
const all: Repository['checkout'] = { submodules: 'recursive', lfs: 'fetch', paths: [] };

/** Uses a commit of the workplace's repository as a build of it would. */
async function use(
  place: Workplace,
  sha: string,
  more: {
    checkout?: Repository['checkout'];
    credentials?: GitCredentials;
    submodules?: AdditionsAccess['submodules'];
  } = {},
) {
  const { checkout = all, credentials, submodules = 'with-credentials' } = more;
  const remote: RemoteAccess = { url: place.url, credentials, hosts: 'internal' };
  return await place.sources.use(
    place.request({
      url: place.url,
      sha,
      checkout,
      repository: credentials && 'team/app',
      remote: () => openRemote(remote),
      access: { remote: () => Promise.resolve(remote), submodules },
    }),
  );
}

const beside = ({ origin }: Workplace, name: string): Promise<TestRepository> =>
  makeRepository(dirname(origin.directory), name);

const modules = (entries: Readonly<Record<string, string>>) =>
  Object.entries(entries)
    .map(([path, url]) => `[submodule "${path}"]\n\tpath = ${path}\n\turl = ${url}\n`)
    .join('');

describe('submodules', () => {
  test('are where the commit says, with a .git of their own, and so are theirs', async () => {
    await using place = await workplace();
    const deep = await (await beside(place, 'deep.git')).commit({ file: 'deep\n' });
    const library = await beside(place, 'lib.git');
    const lib = await library.commit({
      '.gitmodules': modules({ 'vendor/deep': './../deep.git' }),
      'vendor/deep': { commit: deep },
      file: 'lib\n',
    });
    await library.git('tag', 'v7', lib);
    const sha = await place.origin.commit({
      '.gitmodules': modules({ 'third party/ü': '../lib.git' }),
      'third party/ü': { commit: lib },
      file: 'app\n',
    });
    const tree = await use(place, sha);
    expect(await inMerged(tree, `cat file 'third party/ü/file' 'third party/ü/vendor/deep/file'`)).toBe(
      'app\nlib\ndeep',
    );
    const git = "git -C 'third party/ü'";
    expect(
      await inMerged(tree, `${git} describe --tags; ${git} status --porcelain; git status --porcelain`),
    ).toBe('v7');
    expect(
      await inMerged(tree, `${git} rev-parse HEAD; git -C 'third party/ü/vendor/deep' rev-parse HEAD`),
    ).toBe(`${lib}\n${deep}`);

    const requests = place.server.requests.length;
    expect(await processesDuring(() => use(place, sha))).toBe(0);
    expect(place.server.requests).toHaveLength(requests);
  });

  test('are fetched once for all commits that have them', async () => {
    await using place = await workplace();
    const lib = await (await beside(place, 'lib.git')).commit({ file: 'lib\n' });
    const first = await place.origin.commit({
      '.gitmodules': modules({ lib: '../lib.git' }),
      lib: { commit: lib },
    });
    const second = await place.origin.commit({ file: 'new\n' });
    const of = (tree: { directories: readonly string[] }) => tree.directories.at(-1);
    const layer = of(await use(place, first));
    const requests = place.server.requests.filter(({ path }) => path.startsWith('/lib.git')).length;
    expect(requests).toBeGreaterThan(0);
    expect(of(await use(place, second))).toBe(layer);
    expect(place.server.requests.filter(({ path }) => path.startsWith('/lib.git'))).toHaveLength(requests);
  });

  test('stay empty directories unless the repository asks for them, and where only other paths are wanted', async () => {
    await using place = await workplace();
    const lib = await (await beside(place, 'lib.git')).commit({ file: 'lib\n' });
    const sha = await place.origin.commit({
      '.gitmodules': modules({ 'a/lib': '../lib.git', 'b/lib': '../lib.git' }),
      'a/lib': { commit: lib },
      'b/lib': { commit: lib },
    });
    const without = await use(place, sha, { checkout: wholeCheckout });
    expect(await inMerged(without, 'ls a/lib')).toBe('');
    const sparse = await use(place, sha, { checkout: { ...all, paths: ['b'] } });
    expect(await inMerged(sparse, 'ls; cat b/lib/file')).toBe('b\nlib');
  });

  test('of the same server get its credentials, those of another do not', async () => {
    await using place = await workplace({ auth: login });
    const lib = await (await beside(place, 'lib.git')).commit({ file: 'lib\n' });
    const elsewhere = await serveHttp(dirname(place.origin.directory));
    try {
      const own = await place.origin.commit({
        '.gitmodules': modules({ lib: '../lib.git' }),
        lib: { commit: lib },
      });
      expect(await inMerged(await use(place, own, { credentials: login }), 'cat lib/file')).toBe('lib');
      // Another server is for the internet alone: a commit must not lead into a private network.
      const other = await place.origin.commit({
        '.gitmodules': modules({ lib: `${elsewhere.url}/lib.git` }),
      });
      const used = use(place, other, { credentials: login });
      await expect(used).rejects.toThrow(SourceError);
      await expect(used).rejects.toMatchObject({
        message: expect.stringMatching(/"lib" has a URL.*https/),
        trouble: 'unusable',
      });
      expect(elsewhere.requests).toEqual([]);
    } finally {
      await elsewhere.stop();
    }
  });

  test('that a stranger names get no credentials, though a trusted build of the same commit had them', async () => {
    await using place = await workplace({ auth: login });
    const lib = await (await beside(place, 'private.git')).commit({ file: 'secret\n' });
    const sha = await place.origin.commit({
      '.gitmodules': modules({ lib: '../private.git' }),
      lib: { commit: lib },
    });
    expect(await inMerged(await use(place, sha, { credentials: login }), 'cat lib/file')).toBe('secret');
    const stranger = use(place, sha, { credentials: login, submodules: 'public' });
    await expect(stranger).rejects.toThrow(/private\.git does not let this service in/);
  });

  test('come over ssh with the key of the repository', async () => {
    await using place = await workplace();
    const root = dirname(place.origin.directory);
    const lib = await (await beside(place, 'lib.git')).commit({ file: 'lib\n' });
    const sha = await place.origin.commit({
      '.gitmodules': modules({ lib: '../lib.git' }),
      lib: { commit: lib },
    });
    const server = await serveSsh(root);
    try {
      const { privateKey } = server;
      const credentials = { kind: 'ssh', privateKey, knownHosts: server.knownHosts() } as const;
      const tree = await use({ ...place, url: `${server.url}/origin.git` }, sha, { credentials });
      expect(await inMerged(tree, 'cat lib/file; cat .git/config lib/.git/config | grep url')).toBe(
        `lib\n\turl = "${server.url}/origin.git"\n\turl = "${server.url}/lib.git"`,
      );
      expect(place.server.requests).toEqual([]);
    } finally {
      await server.stop();
    }
  });

  const link = { commit: 'c0ffee'.padEnd(40, '0') };
  const outside = '[submodule "../../x"]\n\tpath = lib\n\turl = ../lib.git\n';
  test.each<[string, Entry, RegExp]>([
    ['a helper', modules({ lib: 'ext::sh -c touch% /tmp/x' }), /"lib" has a URL that is not used/],
    ['an option', modules({ lib: '--upload-pack=touch${IFS}/tmp/x' }), /gitmodulesUrl/],
    ['a file', modules({ lib: 'file:///etc' }), /"lib" has a URL that is not used/],
    ['a symlink', { symlink: '/etc/passwd' }, /gitmodulesSymlink/],
    ['a name that leads out', outside, /gitmodulesName/],
    [
      'a commit that is not there',
      modules({ lib: '../lib.git' }),
      /lib\.git does not have the commit c0ffee/,
    ],
    ['a repository that is not there', modules({ lib: '../absent.git' }), /absent\.git is no repository/],
  ])('by %s are an error of the source', async (_name, file, reason) => {
    await using place = await workplace();
    await (await beside(place, 'lib.git')).commit({ file: 'lib\n' });
    const sha = await place.origin.commit({ lib: link, '.gitmodules': file });
    const used = use(place, sha);
    await expect(used).rejects.toThrow(SourceError);
    await expect(used).rejects.toThrow(reason);
    expect(existsSync('/tmp/x')).toBe(false);
  });
});

describe('files of Git LFS', () => {
  const large = lfsObject('large\n'.repeat(1000));
  const tool = lfsObject('#!/bin/sh\necho run\n');
  const files = {
    '.gitattributes': '*.bin filter=lfs\ntool filter=lfs\n',
    'a/large.bin': large.pointer,
    tool: { executable: tool.pointer },
  };

  test('have their content, and the pointer where it is not asked for', async () => {
    await using place = await workplace(serveLfs({ objects: [large, tool] }));
    const sha = await place.origin.commit(files);
    const tree = await use(place, sha);
    expect(await inMerged(tree, './tool; sha256sum <a/large.bin')).toBe(`run\n${large.oid}  -`);
    expect(await processesDuring(() => use(place, sha))).toBe(0);
    const without = await use(place, sha, { checkout: wholeCheckout });
    expect(await inMerged(without, 'cat a/large.bin')).toBe(large.pointer.trimEnd());
    const sparse = await use(place, sha, { checkout: { ...all, paths: ['tool'] } });
    expect(await inMerged(sparse, 'ls; ./tool')).toBe('tool\nrun');
  });

  test('come from the server of the repository, whatever the commit says, and nothing that it names runs', async () => {
    await using place = await workplace(serveLfs({ objects: [large, tool] }));
    const sha = await place.origin.commit({
      ...files,
      '.lfsconfig': '[lfs]\n\turl = https://evil.example/\n[filter "lfs"]\n\tsmudge = touch /tmp/x\n',
      '.gitattributes': `${files['.gitattributes']}* filter=evil merge=evil diff=evil\n*.bin filter=lfs\n`,
      '.gitconfig': '[filter "evil"]\n\tsmudge = touch /tmp/x\n[core]\n\thooksPath = hooks\n',
      'hooks/post-checkout': { executable: '#!/bin/sh\ntouch /tmp/x\n' },
    });
    expect(await inMerged(await use(place, sha), 'sha256sum <a/large.bin')).toBe(`${large.oid}  -`);
    expect(existsSync('/tmp/x')).toBe(false);
  });

  test('come for a new commit only if they are new', async () => {
    await using place = await workplace(serveLfs({ objects: [large, tool] }));
    await use(place, await place.origin.commit({ ...files, tool: null }));
    const next = await place.origin.commit(files);
    place.said.length = 0;
    expect(await inMerged(await use(place, next), './tool; wc -c <a/large.bin')).toBe('run\n6000');
    expect(place.said).toContain(`fetching 1 files of Git LFS, ${tool.content.length} bytes`);
  });

  test('of submodules are fetched too, from the submodule', async () => {
    await using place = await workplace(serveLfs({ objects: [large, tool] }));
    const lib = await (await beside(place, 'lib.git')).commit(files);
    const sha = await place.origin.commit({
      '.gitmodules': modules({ 'sub/lib': '../lib.git' }),
      'sub/lib': { commit: lib },
    });
    expect(await inMerged(await use(place, sha), 'sub/lib/tool; wc -c <sub/lib/a/large.bin')).toBe(
      'run\n6000',
    );
    expect(place.server.requests.some(({ path }) => path === '/lib.git/info/lfs/objects/batch')).toBe(true);
  });

  test('that the server does not have are an error of the source; a server that is down is one of the service', async () => {
    await using place = await workplace(serveLfs({ objects: [tool] }));
    await expect(use(place, await place.origin.commit(files))).rejects.toMatchObject({
      message: expect.stringMatching(/does not have the object.*git lfs push/),
      trouble: 'unusable',
    });
    await using broken = await workplace(
      serveLfs({
        objects: [large, tool],
        content: (_request, response) => {
          response.writeHead(503).end();
          return true;
        },
      }),
    );
    await expect(use(broken, await broken.origin.commit(files))).rejects.toMatchObject({
      trouble: 'unavailable',
    });
  });
});
