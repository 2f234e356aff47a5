import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type {
  Command,
  Container,
  Exit,
  Sandbox,
  SandboxDriver,
  WorkspaceFile,
} from '../../../runtime/sandbox.ts';
import { debian, testData } from '../../rootfs.ts';

const MiB = 1024 ** 2;

export const limits = {
  cpus: 2,
  memoryBytes: 512 * MiB,
  diskBytes: 64 * MiB,
  diskInodes: 10_000,
  pids: 64,
  openFiles: 1024,
};

/** A command that both a real shell and the fake one understand (test/runtime/fake/shell.ts). */
export function shell(script: string): Command {
  return { args: ['sh', '-c', script], env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' }, cwd: '/workspace' };
}

export async function tell(box: Container, script: string): Promise<{ exit: Exit; output: string }> {
  const chunks: Buffer[] = [];
  const exit = await box.run(shell(script), (chunk) => void chunks.push(Buffer.from(chunk)));
  return { exit, output: Buffer.concat(chunks).toString() };
}

export const code = (value: number): Exit => ({ reason: 'exit', code: value });

export function start(sandbox: Sandbox, name = 'main'): Container {
  return sandbox.start({ name, root: debian });
}

/** Content of files by path, byte for character. */
export async function contents(
  sandbox: Sandbox,
  files: readonly WorkspaceFile[],
): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  let parts: Buffer[] = [];
  let current = '';
  await sandbox.read(files, {
    begin: ({ path }) => {
      current = path;
      parts = [];
    },
    data: (chunk) => void parts.push(Buffer.from(chunk)),
    end: () => void (result[current] = Buffer.concat(parts).toString('latin1')),
  });
  return result;
}

export const names = (files: readonly WorkspaceFile[]): string[] => files.map(({ path }) => path).sort();

/** Every byte, unevenly. */
export const bytes = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) >> 3));

/** A driver, and a source directory with some files that are hidden from builds. */
export interface Bench {
  readonly driver: () => SandboxDriver;
  /** On the host; there while tests run. */
  readonly source: () => string;
  /** A directory of the host for other sources. */
  readonly scratch: () => string;
  /** Opens a sandbox; default: on the source. */
  readonly open: (source?: string | readonly string[]) => Sandbox & AsyncDisposable;
}

let opened = 0;

/** Unique among running builds. */
export const nextId = () => `contract-${process.pid}-${opened++}`;

export function makeBench(makeDriver: (dataDir: string) => SandboxDriver): Bench {
  let directory = '';
  let source = '';
  let driver: SandboxDriver;
  beforeAll(() => {
    mkdirSync(testData, { recursive: true });
    directory = mkdtempSync(join(testData, 'contract-'));
    source = join(directory, 'source');
    mkdirSync(join(source, 'deep/er'), { recursive: true });
    mkdirSync(join(source, 'secret'));
    writeFileSync(join(source, 'bytes'), bytes);
    writeFileSync(join(source, 'empty'), '');
    writeFileSync(join(source, 'deep/er/größer\n'), 'deep');
    writeFileSync(join(source, 'secret/key'), 'key');
    writeFileSync(join(source, 'deep/hidden'), 'hidden');
    driver = makeDriver(directory);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return {
    driver: () => driver,
    source: () => source,
    scratch: () => directory,
    open: (from = source) => {
      const hidden = ['secret', 'deep/hidden', 'not/there'];
      const sandbox = driver.open({
        id: nextId(),
        limits,
        workspace: { path: '/workspace', sources: [from].flat(), hidden },
      });
      return Object.assign(sandbox, { [Symbol.asyncDispose]: () => sandbox.destroy() });
    },
  };
}
