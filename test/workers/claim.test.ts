import { describe, expect, test } from 'vitest';
import { fakeDriver } from '../../runtime/fake/driver.ts';
import type { ImageStore } from '../../runtime/images/store.ts';
import type { BuildRecord } from '../../src/build.ts';
import { originOf } from '../../src/logs/label.ts';
import type { Claim } from '../../src/queue/claim.ts';
import { queuedRecord } from '../../src/spec.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { createBudget } from '../../workers/budget.ts';
import { noCaches } from '../../workers/caches.ts';
import { runClaim } from '../../workers/claim.ts';
import { createStopping } from '../../workers/stopping.ts';
import { makeSpec } from '../src/queue/specs.ts';
import { image } from './rehearsal.ts';

interface Told {
  /** As `origin: text`. */
  readonly log: readonly string[];
  readonly bytes: number;
  readonly record: BuildRecord;
}

/** Runs a claimed build of one step with fakes, which prints `output`. */
async function runOne(
  resolve: ImageStore['resolve'],
  { output = 'made', logCapBytes = 1024 ** 2 } = {},
): Promise<Told> {
  const log: string[] = [];
  let bytes = 0;
  const never = new AbortController().signal;
  const spec = makeSpec();
  const claim: Claim = {
    spec,
    fence: { id: spec.id, attempt: 1, worker: 'w' },
    record: { ...queuedRecord(spec), status: 'running', attempt: 1 },
    canceled: never,
    lost: never,
    announce: async () => ({ kind: 'turns', turns: noTurns }),
  };
  const result = await runClaim(claim, {
    machine: { driver: fakeDriver(() => ({ output: [output] })), images: { resolve } },
    storage: openStorage('file:/nowhere'),
    records: { progress: async () => 'ok' },
    sources: {
      of: async (_spec, _sha, { progress }) => {
        progress('fetching');
        return {
          build: { directories: [], hidden: [], git: {} },
          workflows: undefined,
          changed: async () => undefined,
        };
      },
    },
    workflowsAt: async () => undefined,
    repositories: { get: async () => undefined },
    secrets: { valuesFor: async () => new Map() },
    publicUrl: undefined,
    caches: { of: () => noCaches },
    budget: createBudget({ cpus: 8, memoryBytes: 2 ** 40 }),
    openLog: () => ({
      append: (label, chunk) => {
        log.push(`${originOf(label).step}: ${chunk.toString().trimEnd()}`);
        bytes += chunk.length;
      },
      mark: () => {},
      close: async () => ({ bytes }),
    }),
    logCapBytes,
    stopping: createStopping(1),
    labels: {},
  });
  if (result.kind !== 'finished') throw new Error(`it ended as ${result.kind}`);
  expect(result.record.status).toBe('passed');
  return { log, bytes, record: result.record };
}

const noTurns = { take: async () => {}, leave: () => {} };

test('a build that waits for its image says in its log what goes on', async () => {
  const { log } = await runOne(async (ref, { progress } = {}) => {
    for (const line of ['waiting for another build that makes it', 'making it']) progress?.(line);
    return image(ref);
  });
  expect(log.filter((line) => line.startsWith('image: '))).toEqual([
    'image: [cofferdam: image bootstrap:bookworm: waiting for another build that makes it]',
    'image: [cofferdam: image bootstrap:bookworm: making it]',
  ]);
  expect(log.findIndex((line) => line.startsWith('test: '))).toBeGreaterThan(1);
});

test('a build whose image is there says nothing of it', async () => {
  const { log } = await runOne(async (ref) => image(ref));
  expect(log.filter((line) => line.startsWith('image: '))).toEqual([]);
});

describe('the record says how long the log is,', () => {
  test('the lines of the platform included', async () => {
    const { log, bytes, record } = await runOne(async (ref, { progress } = {}) => {
      progress?.('making it');
      return image(ref);
    });
    expect(log.map((line) => line.split(':')[0])).toEqual(
      expect.arrayContaining(['source', 'image', 'test']),
    );
    expect(record.log).toEqual({ bytes, truncated: false, cutBytes: 0 });
  });

  test('and what was cut from it', async () => {
    const output = 'x'.repeat(3000);
    const { log, bytes, record } = await runOne(async (ref) => image(ref), { output, logCapBytes: 1000 });
    expect(log).toContainEqual(expect.stringMatching(/[1-9]\d* bytes of the log were cut here/));
    expect(record.log).toEqual({
      bytes: bytes + record.log.cutBytes,
      truncated: true,
      cutBytes: expect.any(Number),
    });
    expect(record.log.cutBytes).toBeGreaterThan(1900);
  });
});
