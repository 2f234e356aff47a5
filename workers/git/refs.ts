import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, run } from '../../runtime/command.ts';
import { gitCommand, openRepository } from './environment.ts';
import { type Fetching, fetchRefs } from './fetch.ts';

/** Commits, or annotated tags, by full ref. */
type Refs = ReadonlyMap<string, string>;

const bytesOfOneRef = 512;

/** The mirror's branches and tags, as its last change left them: it packs them all. */
export function packedRefs(repository: string): { readonly text: string; readonly refs: Refs } {
  const text = textOf(join(repository, 'packed-refs'));
  const lines = text.matchAll(/^([\da-f]+) (refs\/(?:heads|tags)\/.+)$/gm);
  return { text, refs: new Map(Array.from(lines, ([, sha = '', name = '']) => [name, sha])) };
}

function textOf(file: string): string {
  try {
    // Names of refs are bytes.
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}

/**
 * Asks the remote for its branches and tags. Undefined: it has more than the limit, and the rest was not listened to.
 * Throws CommandError.
 */
export async function listRefs({ repository, remote, limits, signal }: Fetching): Promise<Refs | undefined> {
  const config = remote.config.flatMap((setting) => ['-c', setting]);
  const refs = new Map<string, string>();
  let rest = '';
  let tooMany = false;
  const read = async (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [sha = '', name = ''] = line.split('\t');
      refs.set(name, sha);
    }
    tooMany = refs.size > limits.refs || rest.length > bytesOfOneRef * 10;
    if (tooMany) throw new Error('too many refs');
  };
  const args = [...config, 'ls-remote', '--quiet', '--refs', '--heads', '--tags', '--', remote.url];
  try {
    await run(gitCommand(repository, args, remote.env), {
      onStdout: read,
      signal: AbortSignal.any([signal, AbortSignal.timeout(limits.silentMs)]),
    });
  } catch (error) {
    if (tooMany) return undefined;
    throw error;
  }
  return refs;
}

/**
 * Makes the mirror's branches and tags those of the remote, for `git describe` and `git log` in builds. Fetches only when
 * objects are missing, which after a push they are not: the commit brought them. A build can do without them, so
 * what goes wrong is only told.
 */
export async function followRefs(fetching: Fetching, listed: Promise<Refs | undefined>): Promise<void> {
  const { repository, remote, limits, signal, progress } = fetching;
  try {
    const theirs = await listed;
    if (!theirs) {
      progress(`${remote.url} has more than ${limits.refs} branches and tags: only what is built is fetched`);
      return;
    }
    const ours = packedRefs(repository).refs;
    const changed = [...theirs].filter(([name, sha]) => ours.get(name) !== sha);
    const removed = [...ours.keys()].filter((name) => !theirs.has(name));
    if (changed.length + removed.length === 0) return;
    const here = await haveAll(repository, changed);
    if (!here || !(await update(repository, changed, removed))) {
      await fetchRefs(fetching, ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*'], ['--prune']);
    }
    await openRepository(repository).raw(['pack-refs', '--all']);
  } catch (error) {
    signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    progress(`branches and tags of ${remote.url} may be missing: ${reason}`);
  }
}

async function haveAll(repository: string, refs: readonly (readonly [string, string])[]): Promise<boolean> {
  const input = Buffer.from(refs.map(([, sha]) => `${sha}\n`).join(''));
  const { stdout } = await run(gitCommand(repository, ['cat-file', '--batch-check']), { input });
  return !stdout.includes(' missing\n');
}

/** False: not possible in one step, as where `a` goes and `a/b` comes. */
async function update(
  repository: string,
  changed: readonly (readonly [string, string])[],
  removed: readonly string[],
): Promise<boolean> {
  const lines = [
    ...removed.map((name) => `delete ${name}\0\0`),
    ...changed.map(([name, sha]) => `update ${name}\0${sha}\0\0`),
  ];
  try {
    await run(gitCommand(repository, ['update-ref', '--stdin', '-z']), {
      input: Buffer.from(lines.join(''), 'latin1'),
    });
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}
