import { run } from '../../../runtime/command.ts';
import { SourceError } from '../../source.ts';
import { gitCommand } from '../environment.ts';
import type { GitPath } from '../tree.ts';

/** A file's content that is kept outside of the repository. */
export interface LfsObject {
  /** SHA-256, lower-case hex. */
  readonly oid: string;
  /** Bytes. */
  readonly size: number;
}

/** A file of a tree that stands for such content. */
export interface LfsPointer extends LfsObject {
  readonly path: GitPath;
  readonly executable: boolean;
}

export interface PointerSearch {
  /** Bare repository that has the tree. */
  readonly repository: string;
  readonly tree: string;
  /** An index file of that tree: git reads attributes from it, as there is no work tree. */
  readonly index: string;
}

/** No pointer is larger (docs/spec.md of git-lfs). */
const largestPointer = 1024;

const limits = { files: 20_000, bytes: 20 * 1024 ** 3 };

/**
 * The files of a tree that Git LFS would replace: `.gitattributes` names the filter, and the content is a pointer; what
 * was committed as it is stays as it is. Throws SourceError when it is more than a worker should fetch.
 */
export async function findPointers({ repository, tree, index }: PointerSearch): Promise<LfsPointer[]> {
  const small = await smallFiles(repository, tree);
  const filtered = await withFilter(repository, index, [...small.keys()]);
  const files = filtered.flatMap((path) => small.get(path) ?? []);
  const contents = await readBlobs(
    repository,
    files.map(({ blob }) => blob),
  );
  const pointers = files.flatMap(({ path, executable }, i) => {
    const object = parsePointer(contents[i] ?? '');
    return object ? [{ ...object, path, executable }] : [];
  });
  const bytes = pointers.reduce((sum, { size }) => sum + size, 0);
  if (pointers.length > limits.files || bytes > limits.bytes) {
    throw new SourceError(
      `the commit has ${pointers.length} files of Git LFS with ${bytes} bytes; ` +
        `at most ${limits.files} with ${limits.bytes} bytes are fetched`,
    );
  }
  return pointers;
}

/** Undefined for what is no pointer of version 1, or one whose content other programs would have to unpack. */
export function parsePointer(text: string): LfsObject | undefined {
  const form =
    /^version https:\/\/(?:git-lfs|hawser)\.github\.com\/spec\/v1\noid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n?$/;
  const [, oid, size] = form.exec(text) ?? [];
  return oid === undefined ? undefined : { oid, size: Number(size) };
}

interface SmallFile {
  readonly path: GitPath;
  readonly blob: string;
  readonly executable: boolean;
}

async function smallFiles(repository: string, tree: string): Promise<Map<GitPath, SmallFile>> {
  const args = ['ls-tree', '-r', '-l', '-z', '--full-tree', '--end-of-options', tree];
  const { stdout } = await run(gitCommand(repository, args));
  const found = new Map<GitPath, SmallFile>();
  for (const line of stdout.toString('latin1').split('\0')) {
    const [, mode = '', blob = '', size, path = ''] = /^(100\d+) blob (\w+) +(\d+)\t([^]*)$/.exec(line) ?? [];
    if (Number(size) < largestPointer) found.set(path, { path, blob, executable: mode === '100755' });
  }
  return found;
}

/** Those whose filter is `lfs`; no filter of that name is configured, so nothing runs. */
async function withFilter(repository: string, index: string, paths: readonly GitPath[]): Promise<GitPath[]> {
  if (paths.length === 0) return [];
  const command = gitCommand(repository, ['check-attr', '--cached', '-z', '--stdin', 'filter'], {
    GIT_INDEX_FILE: index,
  });
  const input = Buffer.from(paths.map((path) => `${path}\0`).join(''), 'latin1');
  const { stdout } = await run(command, { input });
  const fields = stdout.toString('latin1').split('\0');
  return fields.filter((_, i) => i % 3 === 0 && fields[i + 2] === 'lfs');
}

async function readBlobs(repository: string, blobs: readonly string[]): Promise<string[]> {
  if (blobs.length === 0) return [];
  const input = Buffer.from(blobs.map((blob) => `${blob}\n`).join(''));
  const { stdout } = await run(gitCommand(repository, ['cat-file', '--batch=%(objectsize)']), { input });
  const contents: string[] = [];
  for (let at = 0; at < stdout.length; ) {
    const end = stdout.indexOf('\n', at);
    const size = Number(stdout.toString('latin1', at, end));
    contents.push(stdout.toString('latin1', end + 1, end + 1 + size));
    at = end + 1 + size + 1;
  }
  return contents;
}
