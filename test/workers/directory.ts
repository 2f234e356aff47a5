import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';

/** A directory of a test's own, gone when disposed. */
export interface Directory extends Disposable {
  readonly path: string;
  /** Writes files, by their paths below it. */
  write(files: Readonly<Record<string, string | Buffer>>): void;
}

/** @param parent default: the system's temporary directory */
export function temporaryDirectory(parent: string = tmpdir()): Directory {
  const path = mkdtempSync(join(parent, 'cofferdam-test-'));
  return {
    path,
    write: (files) => {
      for (const [name, content] of Object.entries(files)) {
        mkdirSync(dirname(join(path, name)), { recursive: true });
        writeFileSync(join(path, name), content);
      }
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A new one for each test of a file. */
export function useDirectory(): Omit<Directory, typeof Symbol.dispose> {
  let now: Directory;
  beforeEach(() => void (now = temporaryDirectory()));
  afterEach(() => now[Symbol.dispose]());
  return {
    get path() {
      return now.path;
    },
    write: (files) => now.write(files),
  };
}
