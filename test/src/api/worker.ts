import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildRecord, CacheRecord, Outcome } from '../../../src/build.ts';
import type { LogWriter } from '../../../src/logs.ts';
import { openLogWriter } from '../../../src/logs/writer.ts';
import type { Claim } from '../../../src/queue/claim.ts';
import type { Consumer } from '../../../src/queue/consumer.ts';
import { attemptPrefix } from '../../../src/records/stored.ts';
import type { TestService } from './service.ts';

/** What a build does, in place of a sandbox. */
export interface Job {
  readonly log: LogWriter;
  readonly claim: Claim;
  /** Reports a step. */
  readonly step: (name: string, status: 'running' | 'passed') => Promise<void>;
  readonly cache: (record: CacheRecord) => void;
  readonly artifact: (path: string, content: string) => Promise<void>;
}

/** A worker that takes builds from the real queue, writes real logs, and does `run` instead of a build. */
export function startWorker(
  { redis, storage, queue, records }: TestService,
  run: (job: Job) => Promise<Outcome | 'broken'>,
  labels: Readonly<Record<string, string>> = {},
): Consumer {
  const info = { id: 'worker-1', host: 'test', version: '0', labels, slots: 4 };
  return queue.consume(info, async (claim) => {
    const { fence, spec } = claim;
    const startedAt = new Date().toISOString();
    const artifacts: { path: string; size: number; sha256: string }[] = [];
    const caches: CacheRecord[] = [];
    const steps = new Map<string, { name: string; status: 'running' | 'passed' }>();
    const log = openLogWriter({ redis, storage, fence, signal: claim.lost });
    const record = (): BuildRecord => ({
      ...claim.record,
      startedAt,
      artifacts,
      workflows: [{ name: 'test', status: 'running', steps: [...steps.values()], caches }],
    });
    const outcome = await run({
      log,
      claim,
      step: async (name, status) => {
        steps.set(name, { name, status });
        await records.progress(fence, record());
      },
      cache: (used) => void caches.push(used),
      artifact: async (path, content) => {
        await storage.put(`${attemptPrefix(spec.id, fence.attempt)}artifacts/${path}`, Buffer.from(content));
        const sha256 = createHash('sha256').update(content).digest('hex');
        artifacts.push({ path, size: Buffer.byteLength(content), sha256 });
      },
    });
    const { bytes } = await log.close();
    const ended = {
      ...record(),
      finishedAt: new Date().toISOString(),
      log: { bytes, truncated: false, cutBytes: 0 },
    };
    if (outcome === 'broken') {
      return { kind: 'infrastructure', record: ended, reason: 'sandbox', message: 'the sandbox broke' };
    }
    return { kind: 'finished', record: { ...ended, ...outcome } };
  });
}

/** Waits for something to become so. */
export async function until<Value>(
  probe: () => Promise<Value | undefined | false>,
  ms = 5000,
): Promise<Value> {
  const deadline = performance.now() + ms;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms`);
    await sleep(5);
  }
}
