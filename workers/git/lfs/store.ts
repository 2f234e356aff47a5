import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  constants,
  copyFileSync,
  linkSync,
  mkdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { RemoteOptions } from '../remote.ts';
import { RemoteError } from '../remote-error.ts';
import { pathIn } from '../tree.ts';
import { locateObjects } from './batch.ts';
import { downloadObject } from './download.ts';
import { findEndpoint } from './endpoint.ts';
import type { LfsObject, LfsPointer } from './pointer.ts';

/** Contents of Git LFS files of all repositories on this machine, by their digest. */
export interface LfsStore {
  /**
   * Makes the files that pointers stand for below a directory of the caller's, with the bytes that the server of the
   * repository has for them, and tells how many bytes they are. `group` (letters and digits) keeps apart what
   * different credentials opened: who only knows a digest gets nothing. Throws RemoteError, and the signal's reason.
   */
  provide(request: LfsRequest): Promise<number>;
  /** Removes what was not used for the longest time until no more than the cap is left. */
  trim(): Promise<void>;
}

export interface LfsRequest {
  readonly group: string;
  readonly remote: RemoteOptions;
  readonly pointers: readonly LfsPointer[];
  /** A fresh one: no path in it may lead elsewhere. */
  readonly directory: string;
  readonly progress: (line: string) => void;
}

export interface LfsStoreOptions {
  readonly dataDir: string;
  /** Bytes of all contents that are kept. */
  readonly capBytes: number;
  /** For all contents of one request; default: an hour. */
  readonly fetchMs?: number;
}

/** Downloads at a time. */
const lanes = 4;
/** What is being provided just now is younger. */
const untouchableMs = 60 * 60_000;

export function lfsStore({ dataDir, capBytes, fetchMs = 60 * 60_000 }: LfsStoreOptions): LfsStore {
  const root = join(dataDir, 'git', 'lfs');
  const fileOf = (group: string, { oid }: LfsObject) => join(root, group, oid);
  return {
    provide: async ({ group, remote, pointers, directory, progress }) => {
      mkdirSync(join(root, group), { recursive: true, mode: 0o700 });
      const objects = [...new Map(pointers.map((pointer) => [pointer.oid, pointer])).values()];
      const lacking = objects.filter((object) => object.size > 0 && !touch(fileOf(group, object)));
      if (lacking.length > 0) {
        progress(`fetching ${lacking.length} files of Git LFS, ${bytesOf(lacking)} bytes`);
        await fetchObjects(remote, lacking, (object) => fileOf(group, object), fetchMs);
      }
      for (const pointer of pointers) place(fileOf(group, pointer), pointer, directory);
      return bytesOf(pointers);
    },
    trim: async () => {
      const files = await listFiles(root);
      let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
      for (const { file, bytes, usedAt } of files.sort((a, b) => a.usedAt - b.usedAt)) {
        const isPartial = file.endsWith('.part');
        if (Date.now() - usedAt < untouchableMs) break;
        if (total <= capBytes && !isPartial) continue;
        await rm(file, { force: true });
        total -= bytes;
      }
    },
  };
}

const bytesOf = (objects: readonly LfsObject[]) => objects.reduce((sum, { size }) => sum + size, 0);

async function fetchObjects(
  remote: RemoteOptions,
  objects: readonly LfsObject[],
  fileOf: (object: LfsObject) => string,
  fetchMs: number,
): Promise<void> {
  const ended = new AbortController();
  const late = new RemoteError(
    'unreachable',
    `the files of Git LFS took longer than ${fetchMs / 60_000} minutes`,
  );
  const timer = setTimeout(() => ended.abort(late), fetchMs);
  const reach = {
    ...remote,
    signal: AbortSignal.any([ended.signal, ...(remote.signal ? [remote.signal] : [])]),
  };
  try {
    const actions = await locateObjects(await findEndpoint(reach), objects, reach);
    const queue = objects.values();
    const lane = async () => {
      for (const object of queue) {
        const action = actions.get(object.oid);
        if (action) await appear(fileOf(object), (part) => downloadObject(object, action, part, reach));
      }
    };
    const all = Array.from({ length: lanes }, () =>
      lane().catch((error: unknown) => {
        ended.abort(error);
        throw error;
      }),
    );
    // None may be at work any more when this ends.
    await Promise.allSettled(all);
    await Promise.all(all);
  } finally {
    clearTimeout(timer);
  }
}

/** Appears whole or not at all; two that fetch the same bring the same. */
async function appear(file: string, fetch: (part: string) => Promise<void>): Promise<void> {
  const part = `${file}.${randomUUID()}.part`;
  try {
    await fetch(part);
    await rename(part, file);
  } finally {
    await rm(part, { force: true });
  }
}

/** Whether it is here; it counts as used now. */
function touch(file: string): boolean {
  if (!statSync(file, { throwIfNoEntry: false })) return false;
  const now = new Date();
  utimesSync(file, now, now);
  return true;
}

/** By hard link, which costs nothing; a program needs a file of its own, as its mode differs. */
function place(stored: string, { path, size, executable }: LfsPointer, directory: string): void {
  const slash = path.lastIndexOf('/');
  if (slash > 0) mkdirSync(pathIn(directory, path.slice(0, slash)), { recursive: true, mode: 0o755 });
  const target = pathIn(directory, path);
  if (size === 0) writeFileSync(target, '', { flag: 'wx', mode: 0o644 });
  else if (executable || !linked(stored, target)) copyFileSync(stored, target, copyMode);
  if (executable) chmodSync(target, 0o755);
}

const copyMode = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE;

/** False where that is not possible: on another file system, or when the file has as many names as it may have. */
function linked(from: string, to: Buffer): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EXDEV' || code === 'EMLINK') return false;
    throw error;
  }
}

async function listFiles(root: string) {
  const names = await readdir(root, { withFileTypes: true, recursive: true }).catch(() => []);
  const files = names.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const stats = await Promise.all(files.map((file) => stat(file).catch(() => undefined)));
  return files.flatMap((file, i) => {
    const found = stats[i];
    return found ? [{ file, bytes: found.size, usedAt: found.mtimeMs }] : [];
  });
}
