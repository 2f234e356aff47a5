import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findEndpoint } from '../../../../workers/git/lfs/endpoint.ts';
import { type SshGitServer, serveSsh } from '../../../git/ssh.ts';

const login = { kind: 'https', user: 'ada', password: 'hunter22' } as const;

test.each([
  ['https://forge.example/team/tool.git', 'https://forge.example/team/tool.git/info/lfs'],
  ['https://forge.example/team/tool', 'https://forge.example/team/tool.git/info/lfs'],
])('the files of %s are at %s', async (url, endpoint) => {
  const remote = { url, hosts: 'public', credentials: undefined } as const;
  expect(await findEndpoint(remote)).toEqual({ url: endpoint, headers: {} });
  const headers = { Authorization: 'Basic YWRhOmh1bnRlcjIy' };
  expect(await findEndpoint({ ...remote, credentials: login })).toEqual({ url: endpoint, headers });
});

describe('a server that speaks ssh', () => {
  let root: string;
  let server: SshGitServer;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'cofferdam-lfs-'));
    mkdirSync(join(root, 'bin'));
    server = await serveSsh(root, join(root, 'bin'));
  });
  afterAll(async () => {
    await server.stop();
    rmSync(root, { recursive: true });
  });

  async function ask(path: string, script: string) {
    writeFileSync(join(root, 'bin/git-lfs-authenticate'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const { privateKey } = server;
    const credentials = { kind: 'ssh', privateKey, knownHosts: server.knownHosts() } as const;
    return await findEndpoint({
      url: `ssh://git@127.0.0.1:${server.port}${path}`,
      credentials,
      hosts: 'internal',
    });
  }

  test('says where the files are, and what opens them', async () => {
    const script = `echo '{"href":"https://lfs.example/x","header":{"Authorization":"'"$1 $2"'"},"expires_in":60}'`;
    expect(await ask('/team/tool.git', script)).toEqual({
      url: 'https://lfs.example/x',
      headers: { Authorization: 'team/tool.git download' },
    });
    // No shell of the server reads more into a path than a path.
    const odd = await ask('/team/$(id)%20%3b%20id', script.replace('"$1 $2"', '"$1"')).catch(String);
    expect(odd).toMatchObject({ headers: { Authorization: 'team/$(id) ; id' } });
  });

  test.each([
    ['echo no; exit 1', 'refused', /does not say where its Git LFS files are/],
    ['echo "nothing of use"', 'unreachable', /does not answer with an href/],
    [`printf %s '{"href":"https://x","header":{"X":"a\\nb"}}'`, 'refused', /header that cannot be sent/],
  ])('and says `%s`', async (script, kind, message) => {
    await expect(ask('/x', script)).rejects.toMatchObject({ kind, message: expect.stringMatching(message) });
  });
});
