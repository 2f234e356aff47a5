import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Host } from '../../../runtime/host/requirement.ts';

/** A made-up machine: these files are its `/proc`, `/sys` and `/etc`. Gone when disposed. */
export function makeHost(
  files: Readonly<Record<string, string>>,
  rest: Partial<Host> = {},
): Host & Disposable {
  const root = mkdtempSync(join(tmpdir(), 'cofferdam-host-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return {
    root,
    path: [],
    uid: 0,
    kernelRelease: '6.12.0-1-amd64',
    dataDir: root,
    ...rest,
    [Symbol.dispose]: () => rmSync(root, { recursive: true }),
  };
}
