import { afterAll, beforeAll, expect, test } from 'vitest';
import { isRed, lineOf } from './finding.ts';
import { createOrigins, type Origins, originNames } from './origins.ts';

let origins: Origins;
beforeAll(async () => {
  origins = await createOrigins();
});
afterAll(() => origins[Symbol.asyncDispose]());

test.each(originNames)('%s: every probe is green, and its secret is not in the log', async (name) => {
  const { log, findings } = await origins.of[name]();
  expect(findings.filter(isRed).map(lineOf), log).toEqual([]);
  expect(log).not.toContain(origins.secret);
  if (name === "stranger's pull request") expect(log).toContain('secrets are withheld (token)');
});
