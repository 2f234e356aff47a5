import { expect, test } from 'vitest';
import { fakeDriver } from '../../runtime/fake/driver.ts';
import type { ImageStore } from '../../runtime/images/store.ts';
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

/** Runs a claimed build of one step with fakes; returns its log, as `origin: text`. */
async function logOf(resolve: ImageStore['resolve']): Promise<string[]> {
  const log: string[] = [];
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
    machine: { driver: fakeDriver(() => ({ output: ['made'] })), images: { resolve } },
    storage: openStorage('file:/nowhere'),
    records: { progress: async () => 'ok' },
    sources: {
      of: async () => ({
        build: { directories: [], hidden: [], git: {} },
        workflows: undefined,
        changed: async () => undefined,
      }),
    },
    workflowsAt: async () => undefined,
    repositories: { get: async () => undefined },
    secrets: { valuesFor: async () => new Map() },
    publicUrl: undefined,
    caches: { of: () => noCaches },
    budget: createBudget({ cpus: 8, memoryBytes: 2 ** 40 }),
    openLog: () => ({
      append: (label, chunk) => void log.push(`${originOf(label).step}: ${chunk.toString().trimEnd()}`),
      mark: () => {},
      close: async () => ({ bytes: 0 }),
    }),
    logCapBytes: 1024 ** 2,
    stopping: createStopping(1),
    labels: {},
  });
  expect(result).toMatchObject({ kind: 'finished', record: { status: 'passed' } });
  return log;
}

const noTurns = { take: async () => {}, leave: () => {} };

test('a build that waits for its image says in its log what goes on', async () => {
  const log = await logOf(async (ref, { progress } = {}) => {
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
  expect((await logOf(async (ref) => image(ref))).filter((line) => line.startsWith('image: '))).toEqual([]);
});
