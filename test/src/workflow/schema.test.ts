import { readFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parseWorkflow } from '../../../src/workflow/parse.ts';
import { planBuild } from '../../../src/workflow/build-plan.ts';
import { workflowSchema } from '../../../src/workflow/schema.ts';

describe('the published schema', () => {
  test('is valid JSON Schema, draft-07', () => {
    const ajv = new Ajv({ strict: true, allowUnionTypes: true });
    expect(ajv.validateSchema(JSON.parse(JSON.stringify(workflowSchema)))).toBe(true);
  });

  test('takes what parseWorkflow takes, and refuses keys that it refuses', () => {
    const validate = new Ajv({ allowUnionTypes: true }).compile(workflowSchema);
    const file = { image: 'a', steps: [{ commands: ['make'], when: { status: 'failure' } }], timeout: '1h' };
    expect(validate(file)).toBe(true);
    expect(parseWorkflow(JSON.stringify(file), 'w.yaml').timeoutMs).toBe(3_600_000);
    for (const wrong of [
      { ...file, volumes: [] },
      { ...file, timeout: 30 },
      { ...file, steps: [{ commands: {} }] },
    ]) {
      expect(validate(wrong)).toBe(false);
      expect(() => parseWorkflow(JSON.stringify(wrong), 'w.yaml')).toThrow();
    }
  });
});

/** The example of docs/workflow.md. */
async function example(): Promise<string> {
  const page = await readFile(new URL('../../../docs/workflow.md', import.meta.url), 'utf8');
  return /```yaml\n([^]*?)```/.exec(page)?.[1] ?? '';
}

test('the example of the documentation is a workflow', async () => {
  const plan = parseWorkflow(await example(), '.cofferdam.yaml');
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
    const steps = piece.includes('steps:') ? '' : 'steps: [{ image: a }]\n';
    expect(planBuild([{ file: 'docs.yaml', text: piece + steps }], undefined)).toMatchObject({
      warnings: [],
    });
  }
});

test('2,000 files of real size are parsed in a second of processor time', async () => {
  const text = await example();
  const rate = () => {
    const before = process.threadCpuUsage().user;
    for (let round = 0; round < 200; round++) parseWorkflow(text, '.cofferdam.yaml');
    return (200 / (process.threadCpuUsage().user - before)) * 1e6;
  };
  expect(Math.max(...Array.from({ length: 8 }, rate))).toBeGreaterThan(2000);
});
