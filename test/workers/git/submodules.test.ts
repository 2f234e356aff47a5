import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../../runtime/command.ts';
import { GitUrlError } from '../../../src/git/url.ts';
import { type RemoteAccess, submoduleRemote } from '../../../workers/git/submodule-url.ts';
import { declaredIn, findSubmodules, type Submodule } from '../../../workers/git/submodules.ts';
import { SourceError } from '../../../workers/source.ts';
import { cleanGit, type Entry, makeRepository, type TestRepository } from '../../git/repository.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'cofferdam-submodules-'));
});
afterAll(() => rmSync(root, { recursive: true }));

const login = { kind: 'https', user: 'ada', password: 'hunter22' } as const;
const https: RemoteAccess = {
  url: 'https://forge.example/team/app.git',
  credentials: login,
  hosts: 'internal',
};
const key = { kind: 'ssh', privateKey: 'key', knownHosts: 'hosts' } as const;
const ssh: RemoteAccess = {
  url: 'ssh://git@forge.example/team/app.git',
  credentials: key,
  hosts: 'internal',
};

describe('where a submodule is fetched from, and with what', () => {
  const nothing = { credentials: undefined, hosts: 'public' } as const;
  test.each<[string, RemoteAccess, string, Partial<RemoteAccess>]>([
    ['../lib.git', https, 'https://forge.example/team/lib.git', { credentials: login, hosts: 'internal' }],
    [
      'https://FORGE.example:443/x',
      https,
      'https://forge.example/x',
      { credentials: login, hosts: 'internal' },
    ],
    ['../lib.git', ssh, 'ssh://git@forge.example/team/lib.git', { credentials: key, hosts: 'internal' }],
    ['git@forge.example:x', ssh, 'ssh://git@forge.example/x', { credentials: key, hosts: 'internal' }],
    // Another server, port or scheme.
    ['https://other.example/x', https, 'https://other.example/x', nothing],
    ['https://forge.example:8443/x', https, 'https://forge.example:8443/x', nothing],
    ['https://forge.example/x', ssh, 'https://forge.example/x', nothing],
    ['../../../evil.example/x', https, 'https://evil.example/x', nothing],
    // There is no key for these.
    ['git@forge.example:x', https, 'https://forge.example/x', { credentials: login, hosts: 'internal' }],
    ['git@other.example:x', https, 'https://other.example/x', nothing],
    ['ssh://git@other.example:2222/x', ssh, 'https://other.example/x', nothing],
    ['../lib.git', { ...ssh, credentials: undefined }, 'https://forge.example/team/lib.git', nothing],
    [
      '../lib.git',
      { ...https, credentials: undefined },
      'https://forge.example/team/lib.git',
      { credentials: undefined },
    ],
  ])('%s of %o', (written, top, url, access) => {
    expect(submoduleRemote(written, top.url, top)).toMatchObject({ url, ...access });
  });

  test.each([
    'ext::sh -c id',
    'file:///etc',
    '-u',
    '/srv/x',
    'http://other.example/x',
    'lib',
    '../../../../../x',
    '',
  ])('%j is refused', (written) =>
    expect(() => submoduleRemote(written, https.url, https)).toThrow(GitUrlError),
  );

  test('a relative URL counts from the repository that has it, not from the top', () => {
    const parent = 'https://other.example/group/lib.git';
    expect(submoduleRemote('../deep.git', parent, https)).toMatchObject({
      url: 'https://other.example/group/deep.git',
      ...nothing,
    });
  });

  test('git reads relative URLs in the same way', async () => {
    const repository = join(root, 'relative');
    const git = (...args: string[]) => run({ file: 'git', args: ['-C', repository, ...args], env: cleanGit });
    await run({ file: 'git', args: ['init', '-q', repository], env: cleanGit });
    const written = [
      '../x',
      '../x/',
      './x',
      './../x',
      '../../x',
      '.././x',
      '../../y/../x',
      '../-x',
      '../x.git',
    ];
    for (const [i, url] of written.entries()) {
      await git('config', '-f', '.gitmodules', `submodule.${i}.path`, `p${i}`);
      await git('config', '-f', '.gitmodules', `submodule.${i}.url`, url);
      await git('update-index', '--add', '--cacheinfo', `160000,${'a'.repeat(40)},p${i}`);
    }
    for (const parent of ['https://forge.example/a/b/c.git', 'ssh://git@forge.example:2222/a/b/c']) {
      await git('config', 'remote.origin.url', parent);
      await git('submodule', '--quiet', 'init');
      for (const [i, url] of written.entries()) {
        const { stdout } = await git('config', `submodule.${i}.url`);
        const top = { url: parent, credentials: undefined, hosts: 'public' } as const;
        const outcome = (text: string, base: string) => {
          try {
            return submoduleRemote(text, base, top).url;
          } catch (error) {
            return error instanceof GitUrlError ? 'refused' : error;
          }
        };
        const resolved = stdout.toString().trim();
        expect(outcome(url, parent), `${url} of ${parent}`).toEqual(outcome(resolved, parent));
        await git('config', '--unset', `submodule.${i}.url`);
      }
    }
  });
});

const modules = (...list: { name?: string; path: string; url: string; more?: string }[]) =>
  list
    .map(
      ({ path, url, name = path, more = '' }) =>
        `[submodule "${name}"]\n\tpath = ${path}\n\turl = ${url}\n${more}`,
    )
    .join('');

const sha = 'c0ffee'.padEnd(40, '0');

async function repositoryWith(
  name: string,
  files: Record<string, Entry>,
): Promise<{ repository: TestRepository; commit: string }> {
  const repository = await makeRepository(root, name);
  return { repository, commit: await repository.commit(files) };
}

describe('what is found', () => {
  test('submodules and theirs, parents first, each fetched from where it is', async () => {
    const deep = await repositoryWith('deep.git', { file: 'x' });
    const lib = await repositoryWith('lib.git', {
      '.gitmodules': modules({ path: 'vendor/deep', url: '../deep.git' }),
      'vendor/deep': { commit: deep.commit },
    });
    const app = await repositoryWith('app.git', {
      '.gitmodules': modules(
        { name: 'any name', path: 'lib ü', url: '../../other/lib.git', more: '\tupdate = !touch /tmp/x\n' },
        { path: 'left out', url: '../x.git', more: '\tupdate = none\n' },
        { path: 'not there', url: '../y.git' },
      ),
      'lib ü': { commit: lib.commit },
      'left out': { commit: sha },
      file: 'x',
    });
    const asked: string[] = [];
    const top = { path: '', sha: app.commit, remote: https };
    const declared = async (commit: Submodule) => {
      asked.push(commit.remote.url);
      return await declaredIn(join(root, commit.remote.url.split('/').at(-1) ?? ''), commit.sha);
    };
    const found = await findSubmodules({ top, access: https, declared });
    const urls = ['https://forge.example/other/lib.git', 'https://forge.example/other/deep.git'];
    expect(asked).toEqual([https.url, ...urls]);
    const bytes = (text: string) => Buffer.from(text).toString('latin1');
    expect(found).toEqual([
      { path: bytes('lib ü'), sha: lib.commit, remote: { ...https, url: urls[0] } },
      { path: bytes('lib ü/vendor/deep'), sha: deep.commit, remote: { ...https, url: urls[1] } },
    ]);
  });

  test('nothing, and nothing is read, in a tree without submodules', async () => {
    const { repository, commit } = await repositoryWith('none.git', { '.gitmodules': '[broken' });
    expect(await search(repository, commit)).toEqual([]);
  });

  test('submodules of submodules end at five levels', async () => {
    const repository = await makeRepository(root, 'chain.git');
    let commit = await repository.commit({ '.gitmodules': modules({ path: 'x', url: './' }) });
    for (let level = 1; level <= 6; level++) {
      if (level === 6) await expect(search(repository, commit)).resolves.toHaveLength(5);
      commit = await repository.commit({ x: { commit } });
    }
    await expect(search(repository, commit)).rejects.toThrow('"x/x/x/x/x/x" is in more than 5 others');
  });

  test('a hundred is enough', async () => {
    const repository = await makeRepository(root, 'many.git');
    const leaf = await repository.commit({ file: 'x' });
    const paths = Array.from({ length: 101 }, (_, i) => `m${i}`);
    const commit = await repository.commit({
      '.gitmodules': modules(...paths.map((path) => ({ path, url: './' }))),
      ...Object.fromEntries(paths.map((path) => [path, { commit: leaf }])),
    });
    await expect(search(repository, commit)).rejects.toThrow('one too many: 100');
    const fewer = await repository.commit({ m7: null });
    await expect(search(repository, fewer)).resolves.toHaveLength(100);
  });
});

/** Of a repository that has all of its submodules' commits itself. */
async function search({ directory }: TestRepository, commit: string) {
  const top = { path: '', sha: commit, remote: https };
  return await findSubmodules({ top, access: https, declared: ({ sha: id }) => declaredIn(directory, id) });
}

describe('what nobody writes in good faith', () => {
  test('settings of another file, which .gitmodules includes', async () => {
    const included = join(root, 'included');
    writeFileSync(included, modules({ path: 'x', url: '../y' }));
    const files = { '.gitmodules': `[include]\n\tpath = ${included}\n`, x: { commit: sha } };
    const { repository, commit } = await repositoryWith('includes.git', files);
    await expect(search(repository, commit)).rejects.toThrow('"x" has no url');
  });

  const link = { commit: sha };
  test.each<[string, Record<string, Entry>, RegExp]>([
    ['no .gitmodules', { x: link }, /"x" has no url/],
    ['another path only', { '.gitmodules': modules({ path: 'y', url: '../y' }), x: link }, /"x" has no url/],
    ['.gitmodules is a symlink', { '.gitmodules': { symlink: '/etc/passwd' }, x: link }, /no plain file/],
    ['.gitmodules is no configuration', { '.gitmodules': '[submodule', x: link }, /cannot be read/],
    ['.gitmodules is huge', { '.gitmodules': '#'.repeat(300_000), x: link }, /256 KiB/],
    [
      'a name that leads out',
      { '.gitmodules': modules({ name: '../../hooks', path: 'x', url: '../y' }), x: link },
      /name "\.\.\/\.\.\/hooks"/,
    ],
    [
      'a path twice',
      {
        '.gitmodules': modules({ name: 'a', path: 'x', url: '../y' }, { name: 'b', path: 'x', url: '../z' }),
        x: link,
      },
      /twice/,
    ],
    [
      'a URL twice',
      { '.gitmodules': modules({ path: 'x', url: '../y' }, { path: 'x', url: '../z' }), x: link },
      /twice/,
    ],
    [
      'a URL that is an option',
      { '.gitmodules': modules({ path: 'x', url: '-u./x' }), x: link },
      /"x" has a URL.*dash/,
    ],
    [
      'a URL with a helper',
      { '.gitmodules': modules({ path: 'x', url: 'ext::sh' }), x: link },
      /"x" has a URL.*ext::/,
    ],
    [
      'a URL with a line break',
      { '.gitmodules': modules({ path: 'x', url: '"https://a/%0ax"' }), x: link },
      /control/,
    ],
    ['a path that is an option', { '.gitmodules': modules({ path: '-x', url: '../y' }), '-x': link }, /dash/],
    [
      'a path with CR',
      { '.gitmodules': modules({ name: 'x', path: '"x\r"', url: '../y' }), 'x\r': link },
      /control/,
    ],
  ])('%s', async (name, files, reason) => {
    const { repository, commit } = await repositoryWith(`hostile ${name}.git`, files);
    const searched = search(repository, commit);
    await expect(searched).rejects.toThrow(SourceError);
    await expect(searched).rejects.toThrow(reason);
  });

  test.each<[string, (repository: TestRepository) => Promise<string>]>([
    ['.GIT', (repository) => literalTree(repository, [['160000', '.GIT', sha]])],
    [
      'sub/git~1',
      async (repository) => {
        const sub = await literalTree(repository, [['160000', 'git~1', sha]]);
        return await literalTree(repository, [['40000', 'sub', sub]]);
      },
    ],
    [
      'a directory and a symlink of one name',
      async (repository) => {
        const blob = await repository.git('rev-parse', 'main:.gitmodules');
        const sub = await literalTree(repository, [['160000', 'x', sha]]);
        return await literalTree(repository, [
          ['100644', '.gitmodules', blob],
          ['120000', 'a', blob],
          ['40000', 'a', sub],
        ]);
      },
    ],
  ])('a tree that only a forger makes: %s', async (name, forge) => {
    const repository = await makeRepository(root, `forged ${name.replace('/', ' ')}.git`);
    await repository.commit({ '.gitmodules': modules({ path: 'a/x', url: '../y' }) });
    const commit = await repository.git('commit-tree', '-m', 'forged', await forge(repository));
    const searched = search(repository, commit);
    await expect(searched).rejects.toThrow(SourceError);
    await expect(searched).rejects.toThrow(/own files|which is no directory/);
  });
});

type TreeLine = readonly [mode: string, name: string, sha: string];

/** Byte for byte as said, which no porcelain would write. */
async function literalTree(repository: TestRepository, lines: readonly TreeLine[]): Promise<string> {
  const input = Buffer.concat(
    lines.flatMap(([mode, name, id]) => [Buffer.from(`${mode} ${name}\0`), Buffer.from(id, 'hex')]),
  );
  const args = ['-C', repository.directory, 'hash-object', '-t', 'tree', '--literally', '-w', '--stdin'];
  return (await run({ file: 'git', args, env: cleanGit }, { input })).stdout.toString().trim();
}
