import type { BuildRecord } from '../../../src/build.ts';
import type { Output } from '../../../src/cli/output.ts';

/** An output that remembers: both streams apart, and together as a terminal shows them. */
export interface Recorder extends Output {
  readonly stdout: () => Buffer;
  readonly stderr: () => string;
  readonly terminal: () => string;
}

export function recorder(): Recorder {
  const written: { readonly to: 'out' | 'err'; readonly data: Buffer }[] = [];
  const bytes = (to?: 'out' | 'err') =>
    Buffer.concat(written.filter((each) => to === undefined || each.to === to).map(({ data }) => data));
  return {
    // As late as a slow reader makes it: what is said meanwhile must keep its place.
    out: async (data) => {
      written.push({ to: 'out', data: Buffer.from(data) });
      await new Promise(setImmediate);
    },
    err: async (text) => {
      written.push({ to: 'err', data: Buffer.from(text) });
      await new Promise(setImmediate);
    },
    stdout: () => bytes('out'),
    stderr: () => bytes('err').toString(),
    terminal: () => bytes().toString(),
  };
}

/** A record that passed, but for what a test says. */
export function recordOf(differences: Partial<BuildRecord> = {}): BuildRecord {
  const timings = { queuedMs: 0, prepareMs: 1, sandboxMs: 2, runMs: 1234, collectMs: 4, destroyMs: 5 };
  return {
    id: '01J',
    status: 'passed',
    attempt: 1,
    source: { repo: '/repo' },
    trigger: { kind: 'manual' },
    createdAt: '2026-01-01T00:00:00.000Z',
    timings,
    usage: { cpuSeconds: 0.5, memoryPeakBytes: 1024 ** 2, diskPeakBytes: 2048 },
    workflows: [],
    artifacts: [],
    log: { bytes: 0, truncated: false, cutBytes: 0 },
    ...differences,
  };
}
