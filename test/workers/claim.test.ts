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

interface Play {
  readonly output?: string;
  readonly logCapBytes?: number;
  readonly workflow?: string;
  readonly git?: { readonly sha?: string };
  readonly announce?: Claim['announce'];
}

/** Runs a claimed build of one step with fakes, which prints `output`. */
async function play(
  resolve: ImageStore['resolve'],
  { output = 'made', logCapBytes = 1024 ** 2, workflow, git = {}, announce = noTurns }: Play = {},
) {
  const log: string[] = [];
  let bytes = 0;
  const never = new AbortController().signal;
  const spec = makeSpec(workflow === undefined ? {} : { workflow });
  const claim: Claim = {
    spec,
    fence: { id: spec.id, attempt: 1, worker: 'w' },
    record: { ...queuedRecord(spec), status: 'running', attempt: 1 },
    canceled: never,
    lost: never,
    announce,
  };
  const result = await runClaim(claim, {
    machine: { driver: fakeDriver(() => ({ output: [output] })), images: { resolve } },
    storage: openStorage('file:/nowhere'),
    records: { progress: async () => 'ok' },
    sources: {
      of: async (_spec, _sha, { progress }) => {
        progress('fetching');
        return {
          build: { directories: [], hidden: [], git },
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
  return { result, log, bytes };
}

async function runOne(resolve: ImageStore['resolve'], how: Play = {}): Promise<Told> {
  const { result, ...told } = await play(resolve, how);
  if (result.kind !== 'finished') throw new Error(`it ended as ${result.kind}`);
  expect(result.record.status).toBe('passed');
  return { ...told, record: result.record };
}

const noTurns: Claim['announce'] = async () => ({
  kind: 'turns',
  turns: { take: async () => {}, leave: () => {} },
});

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

describe('a build that is given back before it has begun says of which commit it is', () => {
  const git = { sha: 'c'.repeat(40) };
  const known = { record: { source: git } };
  const resolve = async (ref: string) => image(ref);

  test('when it waits for its turn', async () => {
    const blocker = { group: 'deploy', limit: 1, how: 'own' } as const;
    const { result } = await play(resolve, { git, announce: async () => ({ kind: 'aside', blocker }) });
    expect(result).toMatchObject({ kind: 'aside', ...known });
  });

  test('when it asks for other workers', async () => {
    const workflow = 'image: bootstrap:bookworm\nlabels: { gpu: "yes" }\nsteps: [{ commands: [make] }]';
    const { result } = await play(resolve, { git, workflow });
    expect(result).toMatchObject({ kind: 'requeue', labels: { gpu: 'yes' }, ...known });
  });
});
