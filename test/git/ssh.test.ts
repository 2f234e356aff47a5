import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../runtime/command.ts';
import { cleanGit, makeRepository } from './repository.ts';
import { type SshGitServer, serveSsh } from './ssh.ts';

let root: string;
let server: SshGitServer;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'cofferdam-git-'));
  const repository = await makeRepository(root, 'tool.git');
  await repository.commit({ 'read me': 'over ssh\n' });
  server = await serveSsh(root);
});
afterAll(async () => {
  await server.stop();
  rmSync(root, { recursive: true });
});

test('a client with the key clones; one that knows another host by that name does not', async () => {
  const key = join(root, 'key');
  const hosts = join(root, 'hosts');
  writeFileSync(key, server.privateKey, { mode: 0o600 });
  const ssh = `ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=${hosts} -i ${key}`;
  const clone = (to: string) =>
    run({
      file: 'git',
      args: ['clone', '--quiet', `${server.url}/tool.git`, join(root, to)],
      env: { ...cleanGit, GIT_SSH_COMMAND: ssh },
    });
  writeFileSync(hosts, server.knownHosts().replace(/ AAAA\S+/, ` ${'A'.repeat(68)}`));
  await expect(clone('refused')).rejects.toThrow();
  writeFileSync(hosts, server.knownHosts('git.example.test'));
  await clone('known');
  expect(readFileSync(join(root, 'known', 'read me'), 'utf8')).toBe('over ssh\n');
  expect(server.log()).toContain('Accepted publickey for git');
});
