import { describe, expect, test } from 'vitest';
import { problemsOf } from './problems.ts';

describe('hostile files end soon, and in one clear problem', () => {
  const lines = (count: number, line: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => line(index)).join('\n');
  const bomb = lines(
    30,
    (level) => `l${level}: &l${level} [${`*l${level - 1}, `.repeat(level === 0 ? 0 : 10)}x]`,
  );
  const merges = `l0: &l0 {a: 1}\n${lines(
    30,
    (level) => `l${level + 1}: &l${level + 1} {<<: [${Array(10).fill(`*l${level}`).join(', ')}]}`,
  )}`;

  test.each([
    ['more than 1 MiB', '#'.repeat(2 ** 20 + 1), /^1:1: the file is larger than 1 MiB$/],
    ['more than 1 MiB of UTF-8', `# ${'é'.repeat(2 ** 19)}`, /^1:1: the file is larger than 1 MiB$/],
    ['nested flow lists', '['.repeat(10_000), /not valid YAML|nested too deeply/],
    ['nested maps', lines(200, (level) => `${' '.repeat(level)}a:`), /: nested more than 64 levels deep$/],
    ['an alias bomb', bomb, /: more than 100000 values, aliases counted in full$/],
    ['a merge bomb', merges, /: more than 100000 values, aliases counted in full$/],
    ['as many values', `steps: [${'a,'.repeat(100_001)}]`, /: more than 100000 values/],
    ['repeated keys by the thousand', lines(20_000, () => 'a: 1'), /^2:1: 'a' is already set in this map/],
    [
      'unknown keys by the thousand',
      lines(20_000, (index) => `a${index}: 1`),
      /^1:1: the workflow has no 'steps'/,
    ],
  ])('%s', { timeout: 10_000 }, (_, text, problem) => {
    expect(problemsOf(text)[0]).toMatch(problem);
  });

  test('at most 100 problems are shown, and how many more there are', () => {
    const problems = problemsOf(`image: a\nsteps: [{commands: x}]\n${lines(150, (index) => `a${index}: 1`)}`);
    expect(problems).toHaveLength(101);
    expect(problems.at(-1)).toBe('and 50 more');
  });
});
