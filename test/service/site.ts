import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../runtime/command.ts';
import type { ShownBuild } from '../../src/client.ts';
import { debian } from '../rootfs.ts';
import { freePort } from '../free-port.ts';

const main = join(import.meta.dirname, '../../bin/main.ts');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command of ours that runs. */
export interface Running {
  readonly process: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<Ended>;
}

/** A machine of its own, as far as our commands can tell: a data directory with an image in it, and a port. */
export interface Site extends AsyncDisposable {
  readonly dataDir: string;
  readonly url: string;
  start(args: readonly string[], env?: NodeJS.ProcessEnv): Running;
  command(...args: readonly string[]): Promise<Ended>;
  /** `cofferdam up`, with its worker at work. */
  up(env?: NodeJS.ProcessEnv): Promise<Running>;
  /** A directory with a workflow of one step, whose commands run in sh. */
  project(name: string, commands: readonly string[], more?: string): string;
  /** Asked of the API directly: faster than by a command. */
  show(id: string): Promise<ShownBuild>;
  get(path: string): Promise<string>;
  /** Process ids of what runs on the data directory. */
  processes(...words: readonly string[]): Promise<number[]>;
}

export async function createSite(): Promise<Site> {
  // A unix socket is in it, whose path must be short.
  const dataDir = mkdtempSync('/var/tmp/cfd-');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { ...process.env, COFFERDAM_DATA: dataDir, COFFERDAM_LISTEN: `127.0.0.1:${port}` };
  const started: ChildProcess[] = [];

  const site: Site = {
    dataDir,
    url,
    start: (args, more) => {
      const running = follow(spawn(process.execPath, [main, ...args], { env: { ...env, ...more } }));
      started.push(running.process);
      return running;
    },
    command: (...args) => site.start(args).ended,
    up: async (more) => {
      const running = site.start(['up'], more);
      await until('up', async () => running.output.stderr.includes('cofferdam is up') || undefined);
      await until('a worker', async () => (await workers(site)) > 0 || undefined);
      return running;
    },
    project: (name, commands, more = '') => {
      const dir = join(dataDir, 'projects', name);
      mkdirSync(dir, { recursive: true });
      const step = { name: 'test', commands };
      const workflow = `image: tiny\nsteps: ${JSON.stringify([step])}\n${more}`;
      writeFileSync(join(dir, '.cofferdam.yaml'), workflow);
      return dir;
    },
    show: async (id) => {
      const shown: ShownBuild = JSON.parse(await site.get(`/v1/builds/${id}`));
      return shown;
    },
    get: async (path) => {
      const token = await readFile(join(dataDir, 'token'), 'utf8');
      const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token.trim()}` } });
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return await response.text();
    },
    processes: (...words) => processesOf(dataDir, words),
    [Symbol.asyncDispose]: async () => {
      for (const child of started) child.kill('SIGKILL');
      // The kernel takes what sandboxes hold; the rest knows its data directory.
      await until('an end', async () => {
        const left = await site.processes();
        for (const pid of left) kill(pid);
        return left.length === 0 || undefined;
      });
      await sleep(100);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
  await importTiny(site);
  return site;
}

function follow(child: ChildProcess): Running {
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const ended = once(child, 'close').then(() => ({ code: child.exitCode, ...output }));
  return { process: child, output, ended };
}

/** A shell and what it needs, of test/rootfs.ts: imported in no time. */
async function importTiny(site: Site): Promise<void> {
  const tar = join(site.dataDir, 'tiny.tar');
  const [root = ''] = debian.layers;
  const tools = ['sh', 'dash', 'sleep', 'seq', 'cat'].map((name) => `usr/bin/${name}`).join(' ');
  const libraries = 'lib* usr/lib64 usr/lib/*-linux-gnu/{libc.so.6,ld-linux-*}';
  const script = `cd "$1"; tar -cf "$2" bin ${tools} ${libraries} proc sys dev tmp etc/passwd`;
  await run({ file: 'bash', args: ['-euc', script, 'bash', root, tar] });
  const { code, stderr } = await site.command('image', 'import', 'tiny', tar);
  if (code !== 0) throw new Error(stderr);
}

async function workers(site: Site): Promise<number> {
  const body: { workers: unknown[] } = JSON.parse(await site.get('/v1/workers'));
  return body.workers.length;
}

/** A process that may be gone already. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** What is not undefined within 60 s. */
export async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = performance.now() + 60_000; performance.now() < deadline; await sleep(50)) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
  }
  throw new Error(`no ${what} within 60 s`);
}

/** A build when it has ended. */
export function endOf(site: Site, id: string): Promise<ShownBuild> {
  return until(`an end of ${id}`, async () => {
    const shown = await site.show(id);
    return shown.finishedAt === undefined ? undefined : shown;
  });
}

async function processesOf(dataDir: string, words: readonly string[]): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry);
    if (!pid || pid === process.pid) continue;
    const [environment, args, cwd] = await Promise.all([
      readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
      readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
      readlink(`/proc/${pid}/cwd`).catch(() => ''),
    ]);
    const ours =
      environment.split('\0').includes(`COFFERDAM_DATA=${dataDir}`) ||
      args.includes(dataDir) ||
      cwd === dataDir;
    if (ours && words.every((word) => args.split('\0').includes(word))) found.push(pid);
  }
  return found;
}

/** A directory with workflow files, by their paths, whose steps run in the image of the site. */
export function project(site: Site, name: string, files: Readonly<Record<string, string>>): string {
  const dir = join(site.dataDir, 'projects', name);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), `image: tiny\n${text}`);
  }
  return dir;
}
