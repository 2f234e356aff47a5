import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LfsRequest, lfsStore } from '../../../../workers/git/lfs/store.ts';
import { basic } from '../../../../workers/git/remote.ts';
import { withHttp } from '../../../git/http.ts';
import { type LfsServerOptions, lfsObject, serveLfs, type TestObject } from '../../../git/lfs.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cofferdam-lfs-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const login = { kind: 'https', user: 'ada', password: 'hunter22' } as const;
const one = lfsObject('one'.repeat(1000));
const two = lfsObject(Buffer.from([0, 255, 10, 13]));

const pointerTo = ({ oid, content }: TestObject, path: string, executable = false) => ({
  oid,
  size: content.length,
  path,
  executable,
});

let fills = 0;
/** Fills a fresh directory from a repository on the server and gives the directory. */
async function fill(
  url: string,
  pointers: LfsRequest['pointers'],
  more: Partial<LfsRequest['remote'] & LfsRequest> = {},
): Promise<string> {
  const directory = mkdtempSync(join(root, `tree-${fills++}-`));
  const { credentials, hosts = 'internal', look, group = 'a', progress = () => {}, signal } = more;
  const remote = { url: `${url}/team/tool.git`, credentials, hosts, signal, ...(look && { look }) };
  const bytes = await lfsStore({ dataDir: root, capBytes: 0 }).provide({
    group,
    remote,
    pointers,
    directory,
    progress,
  });
  expect(bytes).toBe(pointers.reduce((sum, { size }) => sum + size, 0));
  return directory;
}

describe('files are filled with what the server has', () => {
  test('at their paths, with their modes, each fetched once', async () => {
    const lines: string[] = [];
    await withHttp(root, serveLfs({ objects: [one, two] }), async ({ url, requests }) => {
      const empty = { oid: lfsObject('').oid, size: 0, path: 'empty', executable: true };
      const latin1 = Buffer.from('ü/ß').toString('latin1');
      const pointers = [
        pointerTo(one, 'a/b/one'),
        pointerTo(two, latin1),
        pointerTo(one, 'run', true),
        empty,
      ];
      const tree = await fill(url, pointers, { progress: (line) => lines.push(line) });
      expect(readFileSync(join(tree, 'a/b/one'))).toEqual(one.content);
      expect(readFileSync(join(tree, 'ü/ß'))).toEqual(two.content);
      expect(readFileSync(join(tree, 'run'))).toEqual(one.content);
      expect(['a/b/one', 'run', 'empty'].map((path) => statSync(join(tree, path)).mode & 0o777)).toEqual([
        0o644, 0o755, 0o755,
      ]);
      expect(requests.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(
        [
          `GET /content/${one.oid}`,
          `GET /content/${two.oid}`,
          'POST /team/tool.git/info/lfs/objects/batch',
        ].sort(),
      );
      expect(lines).toEqual(['fetching 2 files of Git LFS, 3004 bytes']);

      const again = await fill(url, pointers);
      expect(requests).toHaveLength(3);
      expect(lstatSync(join(again, 'a/b/one')).ino).toBe(lstatSync(join(tree, 'a/b/one')).ino);
    });
  });

  test('more than one batch', async () => {
    const objects = Array.from({ length: 201 }, (_, i) => lfsObject(`object ${i}`));
    await withHttp(root, serveLfs({ objects }), async ({ url, requests }) => {
      const tree = await fill(
        url,
        objects.map((object, i) => pointerTo(object, `${i}`)),
      );
      expect(readdirSync(tree)).toHaveLength(201);
      expect(requests.filter(({ method }) => method === 'POST')).toHaveLength(3);
    });
  });

  test('what one repository may see, another must ask for itself', async () => {
    await withHttp(root, serveLfs({ objects: [one], authorization: basic(login) }), async ({ url }) => {
      await fill(url, [pointerTo(one, 'x')], { credentials: login, group: 'a' });
      await expect(fill(url, [pointerTo(one, 'x')], { group: 'b' })).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringContaining('401'),
      });
    });
  });
});

describe('credentials', () => {
  test('go to the server of the repository only', async () => {
    await withHttp(root, serveLfs({ objects: [one] }), async (elsewhere) => {
      const href = (oid: string) => `${elsewhere.url}/content/${oid}`;
      await withHttp(
        root,
        serveLfs({ objects: [one], authorization: basic(login), href }),
        async ({ url, requests }) => {
          await fill(url, [pointerTo(one, 'x')], { credentials: login });
          expect(requests.map(({ authorization }) => authorization)).toEqual([basic(login)]);
          expect(elsewhere.requests.map(({ authorization }) => authorization)).toEqual([undefined]);
        },
      );
    });
  });

  test('are not sent where the server says that the address is enough', async () => {
    const options = { objects: [one], extra: { authenticated: true }, header: { 'X-Signed': 'x' } };
    await withHttp(root, serveLfs(options), async ({ url, requests }) => {
      await fill(url, [pointerTo(one, 'x')], { credentials: login });
      expect(requests.map(({ authorization }) => authorization)).toEqual([basic(login), undefined]);
    });
  });

  test('do not follow a redirect to another server', async () => {
    await withHttp(root, serveLfs({ objects: [one] }), async (elsewhere) => {
      const content: LfsServerOptions['content'] = (request, response) => {
        response.writeHead(302, { Location: `${elsewhere.url}${request.url}` }).end();
        return true;
      };
      await withHttp(root, serveLfs({ objects: [one], content }), async ({ url }) => {
        await fill(url, [pointerTo(one, 'x')], { credentials: login });
        expect(elsewhere.requests.map(({ authorization }) => authorization)).toEqual([undefined]);
      });
    });
  });
});

type Content = NonNullable<LfsServerOptions['content']>;

describe('refused, with nothing kept', () => {
  const redirect =
    (location: (oid: string) => string): Content =>
    (_request, response, oid) => {
      response.writeHead(302, { Location: location(oid) }).end();
      return true;
    };
  const give =
    (...chunks: readonly Buffer[]): Content =>
    (_request, response) => {
      for (const chunk of chunks) response.write(chunk);
      response.end();
      return true;
    };
  const cut: Content = (_request, response) => {
    response.writeHead(200, { 'Content-Length': one.content.length });
    response.write(one.content.subarray(0, 5), () => response.destroy());
    return true;
  };
  const status =
    (code: number): Content =>
    (_request, response) => {
      response.writeHead(code).end();
      return true;
    };

  test.each<[string, Partial<LfsServerOptions>, string, RegExp]>([
    ['an object that is not there', { objects: [two] }, 'refused', /does not have the object.*git lfs push/],
    ['another content', { content: give(Buffer.alloc(one.content.length)) }, 'refused', /another content/],
    [
      'more than was said',
      { content: give(one.content, Buffer.from('x')) },
      'refused',
      /larger than the 3000 bytes/,
    ],
    ['less than was said', { content: give(one.content.subarray(1)) }, 'unreachable', /2999 of 3000/],
    ['one that breaks off', { content: cut }, 'unreachable', /broke off after 5 bytes/],
    ['a server that is busy', { content: status(503) }, 'unreachable', /503/],
    ['an address that is forbidden', { content: status(403) }, 'refused', /403/],
    ['a file', { href: () => 'file:///etc/passwd' }, 'refused', /no https/],
    ['a login in the address', { href: () => 'http://ada:hunter22@127.0.0.1/x' }, 'refused', /login/],
    ['no address', { extra: { actions: {} } }, 'refused', /no address/],
    ['metadata', { href: () => 'http://169.254.169.254/latest' }, 'refused', /must not reach/],
    ['metadata by number', { href: () => 'http://2852039166/latest' }, 'refused', /169\.254\.169\.254/],
    ['a name of metadata', { href: () => 'http://meta.example/x' }, 'refused', /meta\.example/],
    [
      'a redirect to metadata',
      { content: redirect(() => 'http://169.254.169.254/') },
      'refused',
      /must not reach/,
    ],
    ['a redirect to a file', { content: redirect(() => 'file:///etc/passwd') }, 'refused', /no https/],
    [
      'redirects without end',
      { content: redirect((oid) => `/content/${oid}`) },
      'refused',
      /more than 3 times/,
    ],
    ['a header that would be two', { header: { X: 'a\r\nY: b' } }, 'refused', /header that cannot be sent/],
    ['no answer of LFS', { extra: { actions: 'x' } }, 'unreachable', /as a server of Git LFS/],
  ])('%s', async (_name, options, kind, message) => {
    const look = () => Promise.resolve(['169.254.169.254']);
    await withHttp(root, serveLfs({ objects: [one], ...options }), async ({ url }) => {
      const filled = fill(url, [pointerTo(one, 'x')], { credentials: login, look });
      await expect(filled).rejects.toMatchObject({ kind, message: expect.stringMatching(message) });
      await expect(filled).rejects.not.toThrow(/hunter22/);
    });
    expect(readdirSync(join(root, 'git/lfs/a'))).toEqual([]);
  });

  test('a server without LFS', async () => {
    await withHttp(root, {}, async ({ url }) => {
      await expect(fill(url, [pointerTo(one, 'x')])).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringContaining('404'),
      });
    });
  });

  test('a server that takes for ever is given up', async () => {
    const content: Content = (_request, response) => {
      response.write('o');
      return true;
    };
    await withHttp(root, serveLfs({ objects: [one], content }), async ({ url }) => {
      const remote = { url: `${url}/tool.git`, credentials: undefined, hosts: 'internal' } as const;
      const store = lfsStore({ dataDir: root, capBytes: 0, fetchMs: 300 });
      const provided = store.provide({
        group: 'a',
        remote,
        pointers: [pointerTo(one, 'x')],
        directory: root,
        progress: () => {},
      });
      await expect(provided).rejects.toMatchObject({
        kind: 'unreachable',
        message: expect.stringContaining('took longer than 0.005 minutes'),
      });
    });
  });

  test('what is canceled ends, and leaves nothing', async () => {
    const content: Content = (_request, response) => {
      response.write('o');
      return true;
    };
    const cancel = new AbortController();
    await withHttp(root, serveLfs({ objects: [one], content }), async ({ url, requests }) => {
      const filled = fill(url, [pointerTo(one, 'x')], { signal: cancel.signal });
      await expect.poll(() => requests.length).toBe(2);
      cancel.abort(new Error('canceled by a test'));
      await expect(filled).rejects.toThrow('canceled by a test');
    });
    expect(readdirSync(join(root, 'git/lfs/a'))).toEqual([]);
  });
});

test('what was not used for long is removed down to the cap; trees keep their files', async () => {
  await withHttp(root, serveLfs({ objects: [one, two] }), async ({ url }) => {
    const tree = await fill(url, [pointerTo(one, 'one'), pointerTo(two, 'two')]);
    const stored = (object: TestObject) => join(root, 'git/lfs/a', object.oid);
    const age = (hours: number) => new Date(Date.now() - hours * 3_600_000);
    utimesSync(stored(one), age(3), age(3));
    utimesSync(stored(two), age(2), age(2));
    await lfsStore({ dataDir: root, capBytes: 100 }).trim();
    expect(readdirSync(join(root, 'git/lfs/a'))).toEqual([two.oid]);
    expect(readFileSync(join(tree, 'one'))).toEqual(one.content);
    await lfsStore({ dataDir: root, capBytes: 0 }).trim();
    expect(readdirSync(join(root, 'git/lfs/a'))).toEqual([]);
    await lfsStore({ dataDir: join(root, 'nothing here'), capBytes: 0 }).trim();
  });
});
