import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from '../../runtime/command.ts';
import { rlimits } from '../../runtime/crun/rlimits.ts';
import { type Exit, type Limits, SandboxError, type SandboxSpec } from '../../runtime/sandbox.ts';
import { debian, layersDir, testData } from '../rootfs.ts';
import { assemble, type Weakening } from './assembly.ts';
import { type Finding, findings } from './finding.ts';
import { holderOfSource } from './holders.ts';
import { createOutside, type Outside } from './outside.ts';
import { probeProgram } from './program.ts';
import { viewOf } from './view.ts';

/** Much longer than any script takes. */
const patienceMs = 60_000;

const mostOutput = 8 * 1024 ** 2;

const MiB = 1024 ** 2;

const limits: Limits = {
  cpus: 2,
  memoryBytes: 512 * MiB,
  diskBytes: 64 * MiB,
  diskInodes: 10_000,
  pids: 128,
  openFiles: 1024,
};

/** What came of running the probes: findings, or that the sandbox did not start at all. */
export type Outcome =
  | { readonly kind: 'ran'; readonly findings: readonly Finding[] }
  | { readonly kind: 'refused'; readonly message: string };

/** How a script is run: by default as in the product, with the limits of the bench. */
interface Play {
  readonly weakening?: Weakening | undefined;
  readonly limits?: Partial<Limits>;
  /** Ends the sandbox. */
  readonly signal?: AbortSignal;
  /** Called with the sandbox's id when the script has ended, and the sandbox has not. */
  readonly look?: (id: string) => void;
}

/** What a script came to. */
interface Played {
  readonly exit: Exit;
  readonly output: string;
  /** Of the whole output. */
  readonly bytes: number;
  readonly cpuSeconds: number;
}

/** Where sandboxes are made for probes, directly: with an image and a source that are hostile, and weaknesses at will. */
export interface Bench extends AsyncDisposable {
  readonly dataDir: string;
  readonly outside: Outside;
  /** All probes in a sandbox of its own. */
  probe(weakening?: Weakening): Promise<Outcome>;
  /**
   * A shell script in one, beside the probes' program; the output is the first 8 MiB. Rejects with SandboxError when the
   * sandbox cannot be made, the signal ends it, or after a minute.
   */
  script(text: string, options?: Play): Promise<Played>;
  spec(more?: Partial<Limits>): SandboxSpec;
}

let opened = 0;

export async function createBench(): Promise<Bench> {
  mkdirSync(testData, { recursive: true });
  const dataDir = mkdtempSync(join(testData, 'lab-'));
  const layer = mkdtempSync(join(layersDir, 'hostile-'));
  const source = join(dataDir, 'source');
  mkdirSync(source);
  const volume = join(dataDir, 'volume');
  mkdirSync(volume);
  const outside = await createOutside({
    data: dataDir,
    volume: '/cache',
    disk: limits.diskBytes,
    inodes: limits.diskInodes,
    ...Object.fromEntries(rlimits(limits.openFiles).map(({ type, soft, hard }) => [type, `${soft} ${hard}`])),
  });
  cpSync(await probeProgram(), join(source, 'probe'));
  writeFileSync(join(source, 'facts'), outside.facts);
  const holder = await holderOfSource();
  const lower = join(layer, 'probe.lower');
  writeFileSync(lower, 'of all builds');
  for (const directory of [layer, source]) {
    await run({ file: 'mknod', args: ['--mode=0666', join(directory, 'planted.zero'), 'c', '1', '5'] });
  }

  const bench: Bench = {
    dataDir,
    outside,
    spec: (more) => ({
      id: `${basename(dataDir)}-${process.pid}-${opened++}`,
      limits: { ...limits, ...more },
      workspace: { path: '/workspace', sources: [source], hidden: [] },
      volumes: [{ path: '/cache', layers: [volume] }],
    }),
    script: async (text, { weakening, limits: more, signal, look } = {}) => {
      const spec = bench.spec(more);
      const sandbox = assemble(dataDir, { holder, ...weakening }).open(spec);
      const chunks: Buffer[] = [];
      // What waits is rejected.
      const end = () => void sandbox.destroy().catch(() => {});
      const patience = setTimeout(end, patienceMs);
      signal?.addEventListener('abort', end);
      let bytes = 0;
      try {
        const root = { layers: [...debian.layers, layer], lock: debian.lock };
        const command = {
          args: ['/bin/sh', '-c', text] as const,
          env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
          cwd: '/workspace',
        };
        const exit = await sandbox.start({ name: 'box', root }).run(command, (chunk) => {
          bytes += chunk.length;
          if (bytes <= mostOutput) chunks.push(Buffer.from(chunk));
        });
        look?.(spec.id);
        const { cpuSeconds } = await sandbox.usage();
        return { exit, output: Buffer.concat(chunks).toString(), bytes, cpuSeconds };
      } finally {
        clearTimeout(patience);
        await sandbox.destroy();
      }
    },
    probe: async (weakening) => {
      try {
        let seen = '';
        const look = (id: string) => void (seen = viewOf(dataDir, id));
        const { output } = await bench.script('./probe all', { weakening, look });
        const whole = readFileSync(lower, 'utf8') === 'of all builds';
        return {
          kind: 'ran',
          findings: findings(output + seen, 'direct').map((finding) =>
            finding.id === '18-lower-layer' && !whole ? { ...finding, got: 'the layer changed' } : finding,
          ),
        };
      } catch (error) {
        if (!(error instanceof SandboxError)) throw error;
        return { kind: 'refused', message: error.message };
      }
    },
    [Symbol.asyncDispose]: async () => {
      await outside[Symbol.asyncDispose]();
      rmSync(layer, { recursive: true });
      rmSync(dataDir, { recursive: true });
    },
  };
  return bench;
}
