import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../runtime/command.ts';

/** What a path becomes in a commit; a text is a plain file, null removes the path. */
export type Entry =
  | string
  | Buffer
  | null
  | { readonly executable: string | Buffer }
  | { readonly symlink: string }
  /** A submodule at that commit. */
  | { readonly commit: string };

export interface TestRepository {
  /** A bare repository. */
  readonly directory: string;
  /** Adds a commit to a branch (`main` unless said) and gives its id; paths that are not named stay as they are. */
  commit(
    files: Readonly<Record<string, Entry>>,
    options?: { branch?: string; message?: string },
  ): Promise<string>;
  /** Runs git in it and gives what it prints, without the last newline. */
  git(...args: readonly string[]): Promise<string>;
}

/** Git as on a machine that nobody has configured, with an author and a clock that stands still. */
export const cleanGit: NodeJS.ProcessEnv = {
  PATH: process.env['PATH'],
  HOME: '/nonexistent',
  LC_ALL: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_AUTHOR_DATE: '2026-01-02T03:04:05Z',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
  GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z',
};

/** Makes a bare repository `name` below `root`; servers of this directory serve `root`. */
export async function makeRepository(root: string, name: string): Promise<TestRepository> {
  const directory = join(root, name);
  mkdirSync(directory, { recursive: true });
  const git = async (...args: readonly string[]) => {
    const { stdout } = await run({ file: 'git', args: ['-C', directory, ...args], env: cleanGit });
    return stdout.toString().replace(/\n$/, '');
  };
  await git('init', '--quiet', '--bare', '--initial-branch=main');
  // As forges have it: a commit that no branch shows can still be asked for.
  await git('config', 'uploadpack.allowAnySHA1InWant', 'true');
  await git('config', 'uploadpack.allowFilter', 'true');
  let commits = 0;
  return {
    directory,
    git,
    async commit(files, { branch = 'main', message = `commit ${++commits}` } = {}) {
      const ref = `refs/heads/${branch}`;
      const parent = await git('for-each-ref', '--format=%(objectname)', ref);
      await fastImport(directory, [
        `commit ${ref}\ncommitter Ada <ada@example.org> ${1_767_323_045 + commits} +0000\n`,
        data(message),
        parent && `from ${parent}\n`,
        ...Object.entries(files).flatMap(([path, entry]) => change(JSON.stringify(path), entry)),
      ]);
      return await git('rev-parse', ref);
    },
  };
}

function change(path: string, entry: Entry): readonly (string | Buffer)[] {
  if (entry === null) return [`D ${path}\n`];
  if (typeof entry === 'string' || Buffer.isBuffer(entry))
    return [`M 100644 inline ${path}\n`, ...data(entry)];
  if ('commit' in entry) return [`M 160000 ${entry.commit} ${path}\n`];
  if ('symlink' in entry) return [`M 120000 inline ${path}\n`, ...data(entry.symlink)];
  return [`M 100755 inline ${path}\n`, ...data(entry.executable)];
}

function data(content: string | Buffer): readonly [string, Buffer, string] {
  const bytes = Buffer.from(content);
  return [`data ${bytes.length}\n`, bytes, '\n'];
}

async function fastImport(
  directory: string,
  parts: readonly (string | Buffer | readonly (string | Buffer)[])[],
) {
  const input = Buffer.concat(parts.flat().map((part) => Buffer.from(part)));
  await run(
    { file: 'git', args: ['-C', directory, 'fast-import', '--quiet', '--force'], env: cleanGit },
    { input },
  );
}
