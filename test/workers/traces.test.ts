import { expect, test } from 'vitest';
import { withoutTraces } from '../../workers/traces.ts';

const left = (traces: readonly string[], chunks: readonly string[]): string => {
  let text = '';
  const listen = withoutTraces(traces, (chunk) => (text += chunk.toString()));
  for (const chunk of chunks) listen(Buffer.from(chunk));
  return text;
};

test.each<[string, string[], string, string]>([
  ['each is taken out', ['+ echo ready\n', '+ b\n'], '+ echo ready\nready\n+ b\n', 'ready\n'],
  ['one of several lines too', ['+ cat <<E\nready\nE\n'], '+ cat <<E\nready\nE\nready\n', 'ready\n'],
  ['also after a line without an end', ['+ a\n', '+ b\n'], '+ a\nready? + b\nyes', 'ready? yes'],
  ['once: what looks like it later was written', ['+ a\n'], '+ a\n+ a\n', '+ a\n'],
  ['what only begins like one stays, once that is known', ['+ aab\n'], '+ aaab\n+ aab\nx', '+ aaab\nx'],
  ['none: everything stays', [], '+ a\n', '+ a\n'],
])('%s, however the output was cut', (_, traces, output, rest) => {
  expect(left(traces, [output])).toBe(rest);
  expect(left(traces, output.split(''))).toBe(rest);
  for (let at = 0; at < output.length; at++) {
    expect(left(traces, [output.slice(0, at), output.slice(at)])).toBe(rest);
  }
});

test('what cannot become a trace any more is not held back', () => {
  expect(left(['+ serve\n'], ['+ serve\nready'])).toBe('ready');
  expect(left(['+ serve\n', '+ never\n'], ['+ serve\nready'])).toBe('ready');
});
