import { expect, test } from 'vitest';
import { readDocument } from '../../../src/workflow/workflow-text.ts';

const text = (n: number) => `image: a\nsteps: [{ commands: 'echo ${n}' }]\n`;

test('the same text again is the same document, under another name another one', () => {
  const document = readDocument({ text: text(0), file: '.cofferdam.yaml' });
  expect(readDocument({ text: text(0), file: '.cofferdam.yaml' })).toBe(document);
  expect(readDocument({ text: text(0), file: '.cofferdam/lint.yaml' })).not.toBe(document);
});

test('a text is read anew when others were asked for since, and when it is long', () => {
  const first = readDocument({ text: text(0), file: 'w.yaml' });
  const long = { text: `${text(0)}# ${'x'.repeat(20_000)}\n`, file: 'w.yaml' };
  for (let n = 1; n < 64; n++) readDocument({ text: text(n), file: 'w.yaml' });
  expect(readDocument(long)).not.toBe(readDocument(long));
  expect(readDocument({ text: text(0), file: 'w.yaml' })).toBe(first);
  for (let n = 1; n < 65; n++) readDocument({ text: text(n), file: 'w.yaml' });
  expect(readDocument({ text: text(0), file: 'w.yaml' })).not.toBe(first);
});
