import { run } from '../../runtime/command.ts';

const identity = {
  ...process.env,
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@example.org',
};

/** Runs git in a work tree and gives what it prints. */
export async function gitIn(directory: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run({
    file: 'git',
    args: ['-C', directory, '-c', 'protocol.file.allow=always', ...args],
    env: identity,
  });
  return stdout.toString().trim();
}

/** Makes a repository of a directory, with all that is there in its first commit, and gives that. */
export async function commitAll(directory: string, ...options: readonly string[]): Promise<string> {
  await gitIn(directory, 'init', '--quiet', '--initial-branch=main', ...options);
  await gitIn(directory, 'add', '--all');
  await gitIn(directory, 'commit', '--quiet', '--allow-empty', '--message=first');
  return await gitIn(directory, 'rev-parse', 'HEAD');
}
