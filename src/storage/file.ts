import { randomUUID } from 'node:crypto';
import { type FileHandle, open, opendir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { checkKey, checkPrefix } from './key.ts';
import { StorageMissing } from './missing.ts';
import { createPlacing, makeDirectory } from './placing.ts';
import type { Storage } from './storage.ts';

/** What a killed process left unfinished is removed after this long. */
const abandonedMs = 24 * 60 * 60 * 1000;

/** Files below `root`, which is made when the first is put. */
export function openFileStorage(root: string): Storage {
  const unfinished = join(root, '.tmp');
  const place = createPlacing();
  let swept: Promise<void> | undefined;

  const pathOf = (key: string) => {
    checkKey(key);
    return join(root, key);
  };

  return {
    put: async (key, body) => {
      const target = pathOf(key);
      await (swept ??= sweep(unfinished).catch((error: unknown) => {
        swept = undefined;
        throw error;
      }));
      const temporary = join(unfinished, randomUUID());
      try {
        const bytes = await write(temporary, body);
        await place(temporary, target);
        return { bytes };
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    get: async (key, range) => {
      const file = await found(key, open(pathOf(key), 'r'));
      const { size: total } = await whole(key, file);
      const start = Math.min(range?.start ?? 0, total);
      const end = Math.min(range?.end ?? total - 1, total - 1);
      const bytes = Math.max(0, end - start + 1);
      if (bytes > 0) return { body: file.createReadStream({ start, end }), bytes, total };
      await file.close();
      return { body: Readable.from([]), bytes, total };
    },
    head: async (key) => {
      try {
        const { size } = await found(
          key,
          stat(pathOf(key)).then((stats) => fileOnly(key, stats)),
        );
        return { bytes: size };
      } catch (error) {
        if (error instanceof StorageMissing) return undefined;
        throw error;
      }
    },
    list: async function* (prefix) {
      checkPrefix(prefix);
      for await (const path of filesBelow(join(root, prefix))) yield path.slice(join(root, '/').length);
    },
    remove: async (key) => {
      await rm(pathOf(key), { force: true });
    },
    removeAll: async (prefix) => {
      checkPrefix(prefix);
      await rm(join(root, prefix), { recursive: true, force: true });
    },
  };
}

async function write(path: string, body: Buffer | AsyncIterable<Buffer>): Promise<number> {
  const file = await open(path, 'wx', 0o600);
  try {
    let bytes = 0;
    for await (const chunk of Buffer.isBuffer(body) ? [body] : body) {
      await file.writeFile(chunk);
      bytes += chunk.length;
    }
    // Before the rename: else a power cut could leave the name with nothing behind it.
    await file.datasync();
    return bytes;
  } finally {
    await file.close();
  }
}

async function sweep(unfinished: string): Promise<void> {
  await makeDirectory(unfinished);
  for (const name of await readdir(unfinished)) {
    const path = join(unfinished, name);
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > abandonedMs) await rm(path, { force: true });
  }
}

async function* filesBelow(directory: string): AsyncGenerator<string> {
  let entries;
  try {
    entries = await opendir(directory);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  for await (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else yield path;
  }
}

async function whole(key: string, file: FileHandle): Promise<{ size: number }> {
  try {
    return fileOnly(key, await file.stat());
  } catch (error) {
    await file.close();
    throw error;
  }
}

function fileOnly<Stats extends { isFile(): boolean }>(key: string, stats: Stats): Stats {
  if (!stats.isFile()) throw new StorageMissing(key);
  return stats;
}

async function found<Result>(key: string, finding: Promise<Result>): Promise<Result> {
  try {
    return await finding;
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) throw new StorageMissing(key, { cause: error });
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
