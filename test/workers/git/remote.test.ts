import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CommandError, run } from '../../../runtime/command.ts';
import type { GitCredentials } from '../../../src/repositories.ts';
import { type GitRemote, openRemote, type RemoteOptions } from '../../../workers/git/remote.ts';
import { RemoteError } from '../../../workers/git/remote-error.ts';
import { type HttpGitOptions, withHttp } from '../../git/http.ts';
import { cleanGit, makeRepository } from '../../git/repository.ts';
import { type SshGitServer, serveSsh } from '../../git/ssh.ts';
import { certificateFor } from '../../git/tls.ts';
import { processesDuring } from './processes.ts';

let root: string;
let head: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'cofferdam-remote-'));
  const repository = await makeRepository(root, 'tool.git');
  head = await repository.commit({ 'read me': 'hello\n' });
});
afterAll(() => rmSync(root, { recursive: true }));

const login = { kind: 'https', user: 'ada', password: 'hunter22 hunter22' } as const;
const here = () => Promise.resolve(['127.0.0.1']);

async function open(options: Partial<RemoteOptions> & { url: string }): Promise<GitRemote> {
  return await openRemote({ credentials: undefined, hosts: 'internal', look: here, ...options });
}

/** Runs git on the remote as a worker does, and gives what it prints or why it failed. */
async function lsRemote(remote: GitRemote, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const settings = remote.config.flatMap((setting) => ['-c', setting]);
  const args = [...settings, 'ls-remote', '--', remote.url, 'HEAD'];
  try {
    const { stdout } = await run({ file: 'git', args, env: { ...cleanGit, ...remote.env, ...env } });
    return stdout.toString().split('\t')[0] ?? '';
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const explained = await remote.explain(error);
    throw explained ?? error;
  } finally {
    await remote.dispose();
  }
}

describe('refused before any process is started', () => {
  const key: GitCredentials = { kind: 'ssh', privateKey: 'key', knownHosts: '' };
  test.each<[string, Partial<RemoteOptions>, RegExp]>([
    ['--upload-pack=id', {}, /dash/],
    ['ext::sh -c id', {}, /space/],
    ['file:///etc', {}, /only https and ssh/],
    ['http://forge.example/x', { hosts: 'public' }, /https/],
    ['https://127.0.0.1/x', { hosts: 'public' }, /127\.0\.0\.1/],
    ['https://[::1]/x', { hosts: 'public' }, /::1/],
    ['https://rebound.example/x', { hosts: 'public' }, /127\.0\.0\.1.*--hosts internal/],
    ['ssh://git@rebound.example/x', { hosts: 'public', credentials: key }, /127\.0\.0\.1/],
    ['https://169.254.169.254/latest', {}, /must not reach/],
    ['https://[fd00:ec2::254]/latest', {}, /must not reach/],
    ['https://meta.example/x', { look: () => Promise.resolve(['169.254.169.254']) }, /must not reach/],
    ['ssh://git@forge.example/x', {}, /needs a key/],
    ['https://forge.example/x', { credentials: key }, /credentials for ssh/],
    ['ssh://git@forge.example/x', { credentials: login }, /credentials for https/],
    ['https://forge.example/x', { credentials: { ...login, password: 'a\nX: b' } }, /control character/],
  ])('%s %o', async (url, options, reason) => {
    const started = await processesDuring(async () => {
      const refused = open({ url, ...options });
      await expect(refused).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(reason),
      });
      await expect(refused).rejects.toThrow(RemoteError);
    });
    expect(started).toBe(0);
  });

  test('and the spy sees processes', async () => {
    expect(await processesDuring(() => run({ file: 'true', args: [] }))).toBe(1);
  });
});

describe('https', () => {
  test('goes to the address that was checked, whatever the name says to others', async () => {
    const tls = await certificateFor('git.example.test');
    await withHttp(root, { tls }, async ({ port, requests }) => {
      const remote = await open({ url: `https://git.example.test:${port}/tool.git` });
      const ca = join(root, 'ca.pem');
      writeFileSync(ca, tls.cert);
      expect(await lsRemote(remote, { GIT_SSL_CAINFO: ca })).toBe(head);
      expect(requests[0]?.host).toBe(`git.example.test:${port}`);
    });
  });

  test('a certificate that nobody vouches for is not accepted', async () => {
    await withHttp(root, { tls: await certificateFor('git.example.test') }, async ({ port }) => {
      const remote = await open({ url: `https://git.example.test:${port}/tool.git` });
      await expect(lsRemote(remote)).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/certificate/),
      });
    });
  });

  test('proxies of the environment are not used', async () => {
    await withHttp(root, {}, async ({ url }) => {
      const proxy = 'http://127.0.0.1:1';
      const remote = await open({ url: `${url}/tool.git` });
      expect(await lsRemote(remote, { http_proxy: proxy, HTTPS_PROXY: proxy, all_proxy: proxy })).toBe(head);
    });
  });

  test('credentials come to the server, and are in no argument, setting or URL', async () => {
    await withHttp(root, { auth: login }, async ({ url, requests }) => {
      const remote = await open({ url: `${url}/tool.git`, credentials: login });
      expect(await lsRemote(remote)).toBe(head);
      expect(requests.every(({ authorization }) => authorization?.startsWith('Basic '))).toBe(true);
      const encoded = Buffer.from(`${login.user}:${login.password}`).toString('base64');
      for (const secret of [login.password, encoded]) {
        expect(remote.url + remote.config.join()).not.toContain(secret);
      }
    });
  });

  test('without credentials, or with wrong ones, it says what to do', async () => {
    await withHttp(root, { auth: login }, async ({ url }) => {
      const nobody = await open({ url: `${url}/tool.git` });
      await expect(lsRemote(nobody)).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/give its credentials/),
      });
      const wrong = await open({ url: `${url}/tool.git`, credentials: { ...login, password: 'hunter23' } });
      await expect(lsRemote(wrong)).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/does not let this service in/),
      });
    });
  });

  test('a redirect is told, not followed', async () => {
    await withHttp(root, {}, async (target) => {
      const intercept: HttpGitOptions['intercept'] = (request, response) => {
        response.writeHead(301, { Location: `${target.url}${request.url}` }).end();
        return true;
      };
      await withHttp(root, { intercept }, async ({ url }) => {
        const remote = await open({ url: `${url}/tool.git` });
        await expect(lsRemote(remote)).rejects.toMatchObject({
          kind: 'moved',
          message: `${url}/tool.git has moved to ${target.url}/tool.git: use that URL`,
        });
      });
      expect(target.requests).toEqual([]);
    });
  });

  test.each([
    ['ext::sh', /no repository/],
    ['file:///etc/passwd', /no repository/],
    ['https://ada:hunter22@example.org/x', /no repository.*user or password/],
    [undefined, /does not say where/],
  ])('a redirect to %s is told as what it is', async (location, message) => {
    const intercept: HttpGitOptions['intercept'] = (_request, response) => {
      response.writeHead(302, location === undefined ? {} : { Location: location }).end();
      return true;
    };
    await withHttp(root, { intercept }, async ({ url }) => {
      const remote = await open({ url: `${url}/tool.git` });
      await expect(lsRemote(remote)).rejects.toMatchObject({
        kind: 'moved',
        message: expect.stringMatching(message),
      });
    });
  });

  test.each([
    [404, 'refused', /no repository/],
    [403, 'refused', /let this service in/],
    [429, 'unreachable', /429/],
    [503, 'unreachable', /503/],
  ])('an answer %d is %s', async (status, kind, message) => {
    const intercept: HttpGitOptions['intercept'] = (_request, response) => {
      response.writeHead(status).end();
      return true;
    };
    await withHttp(root, { intercept }, async ({ url }) => {
      await expect(lsRemote(await open({ url: `${url}/tool.git` }))).rejects.toMatchObject({
        kind,
        message: expect.stringMatching(message),
      });
    });
  });

  test('a repository that is not there, and a server that is not there', async () => {
    const url = await withHttp(root, {}, async (server) => {
      const absent = await open({ url: `${server.url}/absent.git` });
      await expect(lsRemote(absent)).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/no repository/),
      });
      return `${server.url}/tool.git`;
    });
    await expect(lsRemote(await open({ url }))).rejects.toMatchObject({ kind: 'unreachable' });
  });

  test('what is not about the remote stays as it is', async () => {
    const remote = await open({ url: 'https://forge.example/x' });
    const odd = new CommandError(
      { file: 'git', args: [] },
      { kind: 'failed', detail: 'exit code 1', stderr: 'odd' },
    );
    expect(await remote.explain(odd)).toBeUndefined();
  });
});

describe('ssh', () => {
  let server: SshGitServer;
  beforeAll(async () => {
    server = await serveSsh(root);
  });
  afterAll(() => server.stop());
  const credentials = (given: { privateKey?: string; knownHosts?: string } = {}): GitCredentials => ({
    kind: 'ssh',
    privateKey: server.privateKey,
    knownHosts: server.knownHosts('git.example.test'),
    ...given,
  });
  const url = () => `ssh://git.example.test:${server.port}${root}/tool.git`;

  test('goes to the address that was checked, with the key of the repository', async () => {
    expect(await lsRemote(await open({ url: url(), credentials: credentials() }))).toBe(head);
  });

  test('the key is in no argument, setting or environment, and in no file that has a name', async () => {
    const remote = await open({ url: url(), credentials: credentials() });
    const middle = server.privateKey.split('\n')[2] ?? 'no key';
    expect(JSON.stringify([remote.url, remote.config, remote.env])).not.toContain(middle);
    const file = /IdentityFile=(\S+?)'?( |$)/.exec(remote.env['GIT_SSH_COMMAND'] ?? '')?.[1] ?? '';
    expect(readFileSync(file, 'utf8')).toContain(middle);
    expect(readlinkSync(file)).toMatch(/^\/dev\/shm\/.* \(deleted\)$/);
    await remote.dispose();
    expect(() => readFileSync(file, 'utf8')).toThrow();
  });

  test('a host that is not known, or known with another key, is not talked to', async () => {
    const known = server.knownHosts('git.example.test');
    for (const knownHosts of ['', known.replace(/ AAAA\S+/g, ` ${'A'.repeat(68)}`), server.knownHosts()]) {
      const remote = await open({ url: url(), credentials: credentials({ knownHosts }) });
      await expect(lsRemote(remote)).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/is not the host/),
      });
    }
  });

  test('a key that the server does not know gets an answer that says so', async () => {
    const other = join(root, 'other');
    await run({ file: 'ssh-keygen', args: ['-q', '-t', 'ed25519', '-N', '', '-f', other] });
    const privateKey = readFileSync(other, 'utf8');
    const remote = await open({ url: url(), credentials: credentials({ privateKey }) });
    await expect(lsRemote(remote)).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/let this service in/),
    });
  });

  test('a repository that is not there', async () => {
    const remote = await open({ url: `${url()}/absent`, credentials: credentials() });
    await expect(lsRemote(remote)).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/no repository/),
    });
  });
});
