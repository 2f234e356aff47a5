import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, run } from '../../runtime/command.ts';
import { gitCommand, openRepository } from './environment.ts';
import { type Fetching, fetchRefs } from './fetch.ts';

/** Commits, or annotated tags, by full ref; names are one character for each byte. */
type Refs = ReadonlyMap<string, string>;

interface MirrorRef {
  readonly id: string;
  /** What an annotated tag is of. */
  readonly peeled?: string;
}

const bytesOfOneRef = 512;

/** Branches and tags of a mirror, by full ref, in git's own order. */
export function mirrorRefs(repository: string): ReadonlyMap<string, MirrorRef> {
  const refs = new Map<string, MirrorRef>();
  let last = '';
  for (const line of (textOf(join(repository, 'packed-refs')) ?? '').split('\n')) {
    const [, id, name = ''] = /^([\da-f]+) (refs\/.+)$/.exec(line) ?? [];
    if (id !== undefined) {
      refs.set(name, { id });
      last = name;
      continue;
    }
    const of = refs.get(last);
    if (of && line.startsWith('^')) refs.set(last, { ...of, peeled: line.slice(1) });
  }
  for (const [name, id] of looseRefs(repository)) refs.set(name, { id });
  const shown = [...refs].filter(([name]) => /^refs\/(heads|tags)\//.test(name));
  return new Map(shown.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Those that were changed since all were packed. */
function looseRefs(repository: string): Refs {
  const refs = new Map<string, string>();
  for (const kind of ['refs/heads', 'refs/tags']) {
    const directory = join(repository, kind);
    if (!existsSync(directory)) continue;
    for (const name of readdirSync(directory, { recursive: true, encoding: 'latin1' })) {
      const file = Buffer.from(`${directory}/${name}`, 'latin1');
      const id = statSync(file).isFile() ? textOf(file)?.trim() : undefined;
      if (id !== undefined) refs.set(`${kind}/${name}`, id);
    }
  }
  return refs;
}

function textOf(file: string | Buffer): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Asks the remote for its branches and tags. Undefined: it has more than the limit, and the rest was not listened to.
 * Throws CommandError.
 */
export async function listRefs({ mirror, remote, limits, signal }: Fetching): Promise<Refs | undefined> {
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
    await run(gitCommand(mirror.repository, args, remote.env), {
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
  const { mirror, remote, limits, signal, progress } = fetching;
  const { repository } = mirror;
  try {
    const theirs = await listed;
    if (!theirs) {
      progress(`${remote.url} has more than ${limits.refs} branches and tags: only what is built is fetched`);
      return;
    }
    const ours = mirrorRefs(repository);
    const changed = [...theirs].filter(([name, id]) => ours.get(name)?.id !== id);
    const removed = [...ours.keys()].filter((name) => !theirs.has(name));
    if (changed.length + removed.length > 0) {
      const here = await Promise.all(changed.map(([, id]) => mirror.objects.info(id)));
      if (here.includes(undefined) || !(await update(repository, changed, removed))) {
        await fetchRefs(fetching, ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*'], ['--prune']);
      }
    }
    await packRefs(repository);
  } catch (error) {
    signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    progress(`branches and tags of ${remote.url} may be missing: ${reason}`);
  }
}

const manyLooseRefs = 50;

/** A tag is packed at once, for only then its file says what it is a tag of. */
async function packRefs(repository: string): Promise<void> {
  const loose = [...looseRefs(repository).keys()];
  if (loose.length <= manyLooseRefs && !loose.some((name) => name.startsWith('refs/tags/'))) return;
  await openRepository(repository).raw(['pack-refs', '--all']);
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
