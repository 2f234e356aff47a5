import { readFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { planBuild } from '../../../src/workflow/build-plan.ts';
import { workflowSchema } from '../../../src/workflow/schema.ts';
import { workflowOf } from './planned.ts';

describe('the published schema', () => {
  test('is valid JSON Schema, draft-07', () => {
    const ajv = new Ajv({ strict: true, allowUnionTypes: true });
    expect(ajv.validateSchema(JSON.parse(JSON.stringify(workflowSchema)))).toBe(true);
  });

  test('takes what planBuild takes, and refuses keys that it refuses', () => {
    const validate = new Ajv({ allowUnionTypes: true, inlineRefs: false }).compile(workflowSchema);
    const file = { image: 'a', steps: [{ commands: ['make'], when: { status: 'failure' } }], timeout: '1h' };
    expect(validate(file)).toBe(true);
    expect(workflowOf(file).timeoutMs).toBe(3_600_000);
    for (const wrong of [
      { ...file, volumes: [] },
      { ...file, timeout: 30 },
      { ...file, steps: [{ commands: {} }] },
    ]) {
      expect(validate(wrong)).toBe(false);
      expect(() => workflowOf(wrong)).toThrow();
    }
  });
});

/** The example of docs/workflow.md. */
async function example(): Promise<string> {
  const page = await readFile(new URL('../../../docs/workflow.md', import.meta.url), 'utf8');
  return /```yaml\n([^]*?)```/.exec(page)?.[1] ?? '';
}

test('the example of the documentation is a workflow', async () => {
  const plan = workflowOf(await example());
  expect(plan.steps.map(({ name, when, onFailure }) => [name, ...when, onFailure])).toEqual([
    ['compile', 'success', 'fail'],
    ['test', 'success', 'fail'],
    ['lint', 'success', 'ignore'],
    ['report', 'failure', 'fail'],
  ]);
});

test('every piece of a workflow in the documentation is right', async () => {
  const page = await readFile(new URL('../../../docs/workflow.md', import.meta.url), 'utf8');
  const pieces = [...page.matchAll(/```yaml\n([^]*?)```/g)].map(([, piece = '']) => piece);
  expect(pieces.length).toBeGreaterThan(4);
  for (const piece of pieces) {
    const text = [
      piece,
      /^steps:/m.test(piece) ? '' : 'steps: [{ image: a }]',
      /^image:/m.test(piece) ? '' : 'image: a',
    ];
    expect(planBuild([{ file: 'docs.yaml', text: text.join('\n') }], undefined).warnings).toEqual([]);
  }
});

test('2,000 files of real size are parsed and planned in a second of processor time', async () => {
  const text = await example();
  let number = 0;
  const rate = () => {
    const before = process.threadCpuUsage().user;
    for (let round = 0; round < 200; round++) workflowOf(`${text}# ${number++}\n`);
    return (200 / (process.threadCpuUsage().user - before)) * 1e6;
  };
  expect(Math.max(...Array.from({ length: 8 }, rate))).toBeGreaterThan(2000);
});
