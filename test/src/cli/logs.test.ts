import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { BuildRecord, WorkflowRecord } from '../../../src/build.ts';
import { labelOf } from '../../../src/logs/label.ts';
import { openLogWriter } from '../../../src/logs/writer.ts';
import type { Result } from '../../../src/queue/claim.ts';
import type { Consumer } from '../../../src/queue/consumer.ts';
import { defaultTiming } from '../../../src/queue/timing.ts';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from '../api/service.ts';
import { makeSpec } from '../queue/specs.ts';
import { commandEnvironment, commandFor, type RunCommand } from './client.ts';
import { startCofferdam } from './cofferdam.ts';

const redis = useRedis();
let service: TestService;
let command: RunCommand;
let worker: Consumer | undefined;
beforeAll(async () => {
  const timing = { ...defaultTiming, tickMs: 50, backoffMs: [50] };
  service = await startService(await redis.connect(), { timing });
  command = await commandFor(service);
});
afterEach(async () => {
  await worker?.close();
  worker = undefined;
});
afterAll(() => service.stop());

type Written = readonly [workflow: string | undefined, step: string, text: string, cutBefore?: number];

/** An attempt writes this, and ends when it may. */
interface Attempt {
  readonly written: readonly Written[];
  readonly ends?: Promise<void>;
}

/** The next builds have these workflows, and do these attempts; the last of them passes. */
function work(workflows: readonly WorkflowRecord[], ...attempts: readonly Attempt[]) {
  worker = service.queue.consume(
    { id: 'w', host: 'test', version: '0', labels: {}, slots: 1 },
    async ({ fence, record, lost }): Promise<Result> => {
      const { written, ends } = attempts[fence.attempt - 1] ?? { written: [] };
      const log = openLogWriter({ redis: service.redis, storage: service.storage, fence, signal: lost });
      await service.records.progress(fence, { ...record, workflows });
      for (const [workflow, step, text, cutBefore] of written) {
        if (cutBefore !== undefined) log.mark(cutBefore);
        await log.append(labelOf({ ...(workflow !== undefined && { workflow }), step }), Buffer.from(text));
      }
      await ends;
      const { bytes } = await log.close();
      const ended: BuildRecord = {
        ...record,
        status: 'passed',
        workflows,
        finishedAt: new Date().toISOString(),
        log: { bytes, truncated: false, cutBytes: 0 },
      };
      return fence.attempt < attempts.length
        ? { kind: 'infrastructure', record: ended, reason: 'sandbox', message: 'it broke' }
        : { kind: 'finished', record: ended };
    },
  );
}

async function submit(): Promise<string> {
  const spec = makeSpec();
  await service.queue.submit(spec);
  return spec.id;
}

const passed = (name: string) => ({ name, status: 'passed' }) as const;
const ci: WorkflowRecord = {
  ...passed('ci'),
  steps: [passed('unit'), passed('lint')],
  services: [passed('db')],
};
const docs: WorkflowRecord = { ...passed('docs'), steps: [passed('unit')] };
const all: readonly Written[] = [
  [undefined, 'source', '[cofferdam: fetching]\n'],
  ['ci', 'service:db', 'ready'],
  ['ci', 'unit', 'one\ntw'],
  ['ci', 'service:db', ' now\n'],
  ['ci', 'unit', 'o\n'],
  ['docs', 'unit', 'written\n'],
  ['ci', 'lint', 'clean\n'],
];

test.each([
  ['the log', [], 'head\n[cofferdam: 80 bytes of the log were cut here]\ntail\n'],
  ['a step beside it', ['--step', 'lint'], '[cofferdam: 80 bytes of the log were cut here]\nclean\n'],
])('cofferdam logs says once in %s that there is more than it has', async (_, options, shown) => {
  const lint = options.length > 0;
  work(lint ? [ci] : [docs], {
    written: [
      [lint ? 'ci' : 'docs', 'unit', 'head\n'],
      [lint ? 'ci' : 'docs', 'unit', '[cofferdam: 80 bytes of the log were cut here]\n', 80],
      [lint ? 'ci' : 'docs', 'unit', 'tail\n'],
      ...(lint ? ([['ci', 'lint', 'clean\n']] as const) : []),
    ],
  });
  const id = await submit();
  const { stdout } = await command(['logs', '-f', id, ...options]);
  expect(stdout.replace(/^── .*\n/gm, '')).toBe(shown);
});

describe('cofferdam logs --step shows what the named ones wrote', () => {
  test.each<readonly [string, readonly WorkflowRecord[], readonly string[], readonly string[], string]>([
    ['a service, without prefixes', [ci], ['service:db'], ['ci/service:db'], 'ready now\n'],
    ['a step, byte for byte', [ci], ['unit'], ['ci/unit'], 'one\ntwo\n'],
    ['a step of one workflow', [ci, docs], ['docs/unit'], ['docs/unit'], 'written\n'],
    [
      'several, each line with its own',
      [ci],
      ['service:db', 'unit'],
      ['ci/service:db', 'ci/unit'],
      'unit | one\nservice:db | ready now\nunit | two\n',
    ],
    [
      'a step of all workflows',
      [ci, docs],
      ['unit'],
      ['ci/unit', 'docs/unit'],
      'ci/unit | one\nci/unit | two\ndocs/unit | written\n',
    ],
  ])('%s', async (_, workflows, names, origins, shown) => {
    const known = workflows.map(({ name }) => name);
    const written = all.filter(([of]) => of === undefined || known.includes(of));
    const bytes = written
      .flatMap(([workflow, step, text]) => (origins.includes(`${workflow}/${step}`) ? [text] : []))
      .join('');
    work(workflows, { written });
    const id = await submit();
    const options = names.flatMap((name) => ['--step', name]);
    // Begins before it is known which steps the build has.
    expect(await command(['logs', '-f', id, ...options])).toMatchObject({ code: 0, stdout: shown });
    expect(await command(['logs', id, ...options])).toEqual({
      code: 0,
      stdout: shown,
      stderr: expect.anything(),
    });
    expect(await command(['logs', id, '--raw', ...options])).toMatchObject({ code: 0, stdout: bytes });
    expect(await command(['logs', id, '--raw', '-f', ...options])).toMatchObject({ code: 0, stdout: bytes });
    const { stdout } = await command(['logs', id, '--json', ...options]);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line): Record<string, string> => JSON.parse(line));
    expect(events.map(({ data }) => data ?? '').join('')).toBe(bytes);
    expect(events.pop()).toMatchObject({ type: 'end', record: { status: 'passed' } });
    const told = events.map(({ type, workflow, step, name }) =>
      type === 'service' ? `${workflow}/service:${name}` : `${workflow}/${step ?? name}`,
    );
    expect([...new Set(told)].toSorted()).toEqual(origins);
  });

  test.each([[[]], [['-f']], [['--raw']], [['--raw', '-f']], [['--json']]])(
    'and names those that there are for a wrong name, with %j',
    async (more) => {
      work([ci, docs], { written: [] });
      const id = await submit();
      await command(['logs', '-f', id]);
      const { code, stdout, stderr } = await command(['logs', id, '--step', 'dB', ...more]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain(
        `build ${id} has no step 'dB'; it has ci/service:db, ci/unit, ci/lint, docs/unit\n`,
      );
    },
  );

  test('and says so when it is not known yet what there is', async () => {
    const id = await submit();
    const { code, stderr } = await command(['logs', id, '--step', 'unit']);
    expect([code, stderr]).toEqual([2, expect.stringContaining('add --follow to wait for them')]);
    await service.queue.cancel(id);
    const ended = await command(['logs', id, '--step', 'unit']);
    expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining('it has none')]);
  });
});

describe('cofferdam logs -f says that the log begins anew', () => {
  test('after an attempt that wrote some of it', async () => {
    const begun: readonly Written[] = [
      ['ci', 'service:db', 'begins\n'],
      ['ci', 'unit', 'op'],
      ['ci', 'service:db', 'ready\n'],
    ];
    const seen = Promise.withResolvers<void>();
    work([ci], { written: begun, ends: seen.promise }, { written: [['ci', 'unit', 'again\n']] });
    const following = startCofferdam(['logs', '-f', await submit()], { env: commandEnvironment(service) });
    await following.said('ready');
    seen.resolve();
    const { stdout, stderr } = await following.ended;
    expect(stderr).toContain('attempt 2: the log begins anew');
    const own = ['service:db | begins', 'service:db | ready', 'unit | op', 'unit | again', ''];
    expect(stdout.toString()).toBe(own.join('\n'));
  });

  test('and not after one that wrote nothing', async () => {
    work([ci], { written: [] }, { written: [['ci', 'unit', 'done\n']] });
    const { code, stdout, stderr } = await command(['logs', '-f', await submit()]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/done\n$/) });
    expect(stderr).not.toContain('begins anew');
  });
});
